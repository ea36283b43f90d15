<?php
$request = stream_context_create(["http" => [
    "method" => "POST",
    "header" => "X-API-Key: YOUR_API_KEY\r\nContent-Type: application/json",
    "content" => json_encode(["image" => base64_encode(file_get_contents("face.jpg")), "image_format" => "jpeg"]),
    "ignore_errors" => true,
]]);
echo file_get_contents("BASE_URL/v1/check/liveness", false, $request);
