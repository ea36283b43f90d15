<?php
const ADDRESS = "BASE_URL/v1/check/liveness";
const KEY = "YOUR_API_KEY";
const ATTEMPTS = 5;
const LONGEST = 60; // seconds that are waited at a time

// Sends a check once: status, Retry-After and answer. A status of 0 says that there was no answer.
function send(string $body, string $id): array
{
    $context = stream_context_create(["http" => [
        "method" => "POST",
        "header" => ["X-API-Key: " . KEY, "Content-Type: application/json", "Idempotency-Key: $id"],
        "content" => $body,
        "ignore_errors" => true,
        "timeout" => 60,
    ]]);
    $response = @fopen(ADDRESS, "r", false, $context);
    if ($response === false) {
        return [0, 0, []];
    }
    $headers = stream_get_meta_data($response)["wrapper_data"];
    $text = stream_get_contents($response);
    preg_match('~^HTTP/\S+ (\d+)~', $headers[0], $line);
    $wait = preg_grep('~^Retry-After: *\d+$~i', $headers);
    return [(int) $line[1], $wait ? (int) explode(":", end($wait))[1] : 0, json_decode($text, true) ?? []];
}

// Sends a photo until there is an answer that a repetition would not change.
function check(string $photo): array
{
    $body = json_encode(["image" => base64_encode($photo), "image_format" => "jpeg"]);
    $id = bin2hex(random_bytes(16)); // one for each photo, the same for its repetitions
    for ($attempt = 0; ; $attempt++) {
        [$status, $wait, $answer] = send($body, $id);
        // Only booleans are a verdict: one that is missing or null would read as a live face.
        if ($status === 200 && is_bool($answer["data"]["isFakeFace"] ?? null) && is_bool($answer["data"]["isValidFace"] ?? null)) {
            return $answer["data"];
        }
        $code = $answer["error"]["code"] ?? ($status ? "no_verdict" : "no_answer");
        $again = in_array($status, [0, 200, 408, 500, 502, 503, 504]) || $code === "rate_limited";
        if (!$again || $attempt === ATTEMPTS - 1) {
            throw new RuntimeException("$status $code: " . ($answer["error"]["message"] ?? "There is no verdict."));
        }
        sleep(min($wait ?: 2 ** $attempt, LONGEST));
    }
}

$verdict = check(file_get_contents("face.jpg"));
echo !$verdict["isFakeFace"] && $verdict["isValidFace"] ? "a live face\n" : "ask for another photo\n";
