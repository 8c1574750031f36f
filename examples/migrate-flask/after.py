"""The reports API behind Keygate: no keys, no decorator, and it knows who calls. Only the gate may reach it."""

import os

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/v1/reports")
def list_reports():
    return jsonify(reports=["Sales, January", "Sales, February"], caller=request.headers["X-Keygate-Subject"])


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
