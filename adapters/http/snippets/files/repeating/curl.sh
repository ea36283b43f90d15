id=$(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid) # one for each photo
rm -f answer.json # of an earlier photo, whose verdict is not for this one
{ printf '{"image": "'; base64 -i face.jpg | tr -d '\n'; printf '", "image_format": "jpeg"}'; } \
| curl -sS --max-time 60 --retry 4 --retry-max-time 120 --retry-all-errors -o answer.json -w '%{http_code} ' \
    -X POST BASE_URL/v1/check/liveness \
    -H "X-API-Key: YOUR_API_KEY" \
    -H "Content-Type: application/json" \
    -H "Idempotency-Key: $id" \
    --data-binary @- \
&& cat answer.json && grep -E '"isFakeFace": *(true|false)' answer.json | grep -Eq '"isValidFace": *(true|false)' \
|| { echo "There is no verdict." >&2; false; }
