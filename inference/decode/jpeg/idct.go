package jpeg

// block is an 8×8 block: coefficients, then samples around 0.
type block [blockSize]int32

const blockSize = 8 * 8

// The method of libjpeg's jidctint.c ("islow"), which libjpeg-turbo's vector code follows bit for bit: Loeffler, Ligtenberg
// and Moschytz with 13 fraction bits in the factors and 2 between the passes.
const (
	factorBits = 13
	passBits   = 2

	f0298 = 2446  // 0.298631336
	f0390 = 3196  // 0.390180644
	f0541 = 4433  // 0.541196100
	f0765 = 6270  // 0.765366865
	f0899 = 7373  // 0.899976223
	f1175 = 9633  // 1.175875602
	f1501 = 12299 // 1.501321110
	f1847 = 15137 // 1.847759065
	f1961 = 16069 // 1.961570560
	f2053 = 16819 // 2.053119869
	f2562 = 20995 // 2.562915447
	f3072 = 25172 // 3.072711026
)

// idct turns dequantised coefficients into samples around 0, columns first.
func idct(b *block) {
	for i := range 8 {
		c := (*[57]int32)(b[i:])
		if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 { // a shortcut, the same as the whole way
			dc := c[0] << passBits
			c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56] = dc, dc, dc, dc, dc, dc, dc, dc
			continue
		}
		c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56] = idct8(factorBits-passBits,
			c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56])
	}
	for i := 0; i < blockSize; i += 8 {
		r := (*[8]int32)(b[i:])
		r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7] = idct8(factorBits+passBits+3,
			r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
	}
}

// idct8 transforms eight values and drops fraction bits, rounding.
func idct8(drop int, x0, x1, x2, x3, x4, x5, x6, x7 int32) (y0, y1, y2, y3, y4, y5, y6, y7 int32) {
	z1 := (x2 + x6) * f0541
	even2, even3 := z1-x6*f1847, z1+x2*f0765
	even0, even1 := (x0+x4)<<factorBits, (x0-x4)<<factorBits
	half := int32(1) << (drop - 1)
	e0, e3 := even0+even3+half, even0-even3+half
	e1, e2 := even1+even2+half, even1-even2+half

	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * f1175
	z1, z2, z3, z4 = -z1*f0899, -z2*f2562, z5-z3*f1961, z5-z4*f0390
	o0, o1 := x7*f0298+z1+z3, x5*f2053+z2+z4
	o2, o3 := x3*f3072+z2+z3, x1*f1501+z1+z4
	return (e0 + o3) >> drop, (e1 + o2) >> drop, (e2 + o1) >> drop, (e3 + o0) >> drop,
		(e3 - o0) >> drop, (e2 - o1) >> drop, (e1 - o2) >> drop, (e0 - o3) >> drop
}
