import base64
import json
import urllib.error
import urllib.request

with open("face.jpg", "rb") as photo:
    body = {"image": base64.b64encode(photo.read()).decode(), "image_format": "jpeg"}
request = urllib.request.Request(
    "BASE_URL/v1/check/liveness",
    data=json.dumps(body).encode(),
    headers={"X-API-Key": "YOUR_API_KEY", "Content-Type": "application/json"},
)
try:
    with urllib.request.urlopen(request) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code, refused.read().decode())
