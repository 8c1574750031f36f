// Orders something from the API behind the gate. The key is in the environment variable API_KEY; API_URL is the URL of the gate
// (default http://127.0.0.1:8787).

const url = process.env.API_URL ?? "http://127.0.0.1:8787";

const response = await fetch(`${url}/orders`, {
  method: "POST",
  headers: { Authorization: `Bearer ${process.env.API_KEY}`, "Content-Type": "application/json" },
  body: JSON.stringify({ item: "Tea" }),
});

// A refusal of the gate is JSON (RFC 9457) with a code and a text for people.
if (response.ok) console.log(await response.text());
else {
  console.error(`client.js: ${response.status} ${await response.text()}`);
  process.exitCode = 1;
}
