import { readFile } from "node:fs/promises";

const photo = await readFile("face.jpg");
const answer = await fetch("BASE_URL/v1/check/liveness", {
  method: "POST",
  headers: { "X-API-Key": "YOUR_API_KEY", "Content-Type": "application/json" },
  body: JSON.stringify({ image: photo.toString("base64"), image_format: "jpeg" }),
});
console.log(answer.status, await answer.text());
