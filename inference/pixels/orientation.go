package pixels

// Orientation is the EXIF orientation tag: how stored pixels have to be turned to be upright. 1 is upright already, 6
// means a quarter turn clockwise; 2, 4, 5 and 7 mirror. A value outside 1 to 8 counts as 1.
type Orientation uint8

// transposed reports whether stored columns are upright rows.
func (o Orientation) transposed() bool { return o >= 5 && o <= 8 }

// flips reports whether stored columns and rows run against the upright direction that they map to.
func (o Orientation) flips() (columns, rows bool) {
	switch o {
	case 2, 8:
		return true, false
	case 3, 7:
		return true, true
	case 4, 6:
		return false, true
	}
	return false, false
}
