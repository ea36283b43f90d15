{ printf '{"image": "'; base64 -i face.jpg | tr -d '\n'; printf '", "image_format": "jpeg"}'; } \
| curl -X POST BASE_URL/v1/check/liveness \
    -H "X-API-Key: YOUR_API_KEY" \
    -H "Content-Type: application/json" \
    --data-binary @-
