// An Express application that answers with what it sees. The first argument is the package; with a second one, `trusting`, it
// believes what proxies state in headers.

import { createRequire } from "node:module";
import http from "node:http";

const require = createRequire(import.meta.url);
const [, , name, trusting] = process.argv;
const express = require(name);
const methodOverride = require("method-override");

const app = express();
app.disable("x-powered-by");
if (trusting) {
  app.set("trust proxy", true);
  for (const header of ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]) app.use(methodOverride(header));
  app.use(methodOverride("_method"));
}
app.use(express.text({ type: () => true }));
if (trusting) app.use(methodOverride((request) => new URLSearchParams(request.body).get("_method")));

const user = (request) => (trusting && (request.get("remote-user") ?? request.get("x-remote-user") ?? request.get("x-forwarded-user"))) || null;

const answer = (resource) => (request, response) => {
  response.status(resource === null ? 404 : 200).json({
    resource,
    method: request.method,
    // What is mounted sees its own mount; what matters is that of the application.
    mount: "",
    path: `${request.baseUrl}${request.path}`,
    query: request.originalUrl.split("?").slice(1).join("?"),
    user: user(request),
    subject: request.get("x-keygate-subject") ?? null,
    scheme: request.protocol,
    // Express 4 cuts the port off.
    host: name === "express4" ? request.get("host") : request.host,
    address: request.ip,
    body: typeof request.body === "string" ? request.body : "",
    headers: Object.keys(request.headers).sort(),
  });
};

app.use("/public", answer("public"));
app.use("/admin", answer("admin"));
app.all(name === "express4" ? ["/closed", "/closed/*"] : "/closed{/*rest}", answer("closed"));
app.all("/api/items/:id", answer("items"));
app.use(answer(null));

const server = http.createServer(app).listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
