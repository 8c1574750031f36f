// An orders API without any code for API keys. The gate in front of it lets only key holders through, and states who calls in
// headers. Only the gate may reach this server.

import express from "express";

const app = express();
const orders = [{ id: 1, item: "Coffee" }];

app.use(express.json());

app.get("/healthz", (request, response) => response.json({ status: "ok" }));

app.get("/orders", (request, response) => {
  response.json({ orders, caller: request.get("X-Keygate-Subject") });
});

app.post("/orders", (request, response) => {
  const order = { id: orders.length + 1, item: request.body.item, orderedBy: request.get("X-Keygate-Subject") };
  orders.push(order);
  response.status(201).json(order);
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
