import base64
import http.client
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

ADDRESS = "BASE_URL/v1/check/liveness"
KEY = "YOUR_API_KEY"
ATTEMPTS = 5
LONGEST = 60  # seconds that are waited at a time


def send(request):
    """Sends a check once: status, Retry-After and answer. A status of 0 says that there was no answer."""
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, 0, json.load(response)
    except urllib.error.HTTPError as refused:
        try:
            answer = json.load(refused)
        except ValueError:  # of a proxy in between
            answer = {}
        return refused.code, int(refused.headers.get("Retry-After", 0)), answer
    except (OSError, http.client.HTTPException, ValueError) as broken:
        return 0, 0, {"error": {"code": "no_answer", "message": str(broken)}}


def check(photo):
    """Sends a photo until there is an answer that a repetition would not change."""
    body = {"image": base64.b64encode(photo).decode(), "image_format": "jpeg"}
    request = urllib.request.Request(ADDRESS, data=json.dumps(body).encode(), headers={
        "X-API-Key": KEY,
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid.uuid4()),  # one for each photo, the same for its repetitions
    })
    for attempt in range(ATTEMPTS):
        status, wait, answer = send(request)
        if status == 200:
            return answer["data"]
        error = answer.get("error", {})
        again = status in (0, 408, 500, 502, 503, 504) or error.get("code") == "rate_limited"
        if not again or attempt == ATTEMPTS - 1:
            raise RuntimeError(f"{status} {error.get('code')}: {error.get('message')}")
        time.sleep(min(wait or 2**attempt, LONGEST))


with open("face.jpg", "rb") as file:
    try:
        verdict = check(file.read())
    except RuntimeError as refused:
        sys.exit(str(refused))
print("a live face" if not verdict["isFakeFace"] and verdict["isValidFace"] else "ask for another photo")
