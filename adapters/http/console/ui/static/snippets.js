// The commands that customers paste.

export const keyPlaceholder = "YOUR_API_KEY";

export const checkCommand = (baseUrl, key = keyPlaceholder) => `{ printf '{"image": "'; base64 -i face.jpg | tr -d '\\n'; printf '", "image_format": "jpeg"}'; } \\
| curl -X POST ${baseUrl}/v1/check/liveness \\
    -H "X-API-Key: ${key}" \\
    -H "Content-Type: application/json" \\
    --data-binary @-`;

export const usageCommand = (baseUrl, key = keyPlaceholder) => `curl ${baseUrl}/v1/usage -H "X-API-Key: ${key}"`;
