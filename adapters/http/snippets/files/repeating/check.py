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
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as refused:
        response = refused
    except (OSError, http.client.HTTPException) as broken:
        return 0, 0, {"error": {"code": "no_answer", "message": str(broken)}}
    wait = response.headers.get("Retry-After", "")
    with response:
        try:
            answer = json.load(response)
        except (OSError, http.client.HTTPException, ValueError):  # of a proxy in between, or cut short
            answer = None
    return response.status, int(wait) if wait.isdecimal() else 0, answer


def part(answer, name):
    """The data or the error of an answer; an empty one where a proxy in between has written something else."""
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, dict) else {}


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
        data, error = part(answer, "data"), part(answer, "error")
        # Only booleans are a verdict: one that is null would read as a live face.
        if status == 200 and isinstance(data.get("isFakeFace"), bool) and isinstance(data.get("isValidFace"), bool):
            return data
        again = status in (0, 200, 408, 500, 502, 503, 504) or error.get("code") == "rate_limited"
        if not again or attempt == ATTEMPTS - 1:
            message = error.get("message", "There is no verdict.")
            raise RuntimeError(f"{status} {error.get('code', 'no_verdict')}: {message}")
        time.sleep(min(wait or 2**attempt, LONGEST))


with open("face.jpg", "rb") as file:
    try:
        verdict = check(file.read())
    except RuntimeError as refused:
        sys.exit(str(refused))
print("a live face" if not verdict["isFakeFace"] and verdict["isValidFace"] else "ask for another photo")
