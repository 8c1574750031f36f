"""A small reports API without any code for API keys.

The gate in front of it lets only key holders through. Only the gate may reach this server.
It listens on loopback, on the port in PORT (default 5000).
"""

import os

from flask import Flask, jsonify, request

app = Flask(__name__)

REPORTS = [
    {"id": 1, "title": "Sales, January"},
    {"id": 2, "title": "Sales, February"},
]
USERS = [{"id": 1, "name": "admin"}]


def caller():
    """The subject of the request's key. The gate sets this header, and strips it from what a client sends."""
    return request.headers.get("X-Keygate-Subject")


@app.get("/healthz")
def health():
    return jsonify(status="ok")


@app.get("/v1/reports")
def list_reports():
    return jsonify(reports=REPORTS, caller=caller())


@app.get("/v1/reports/<int:report_id>")
def show_report(report_id):
    for report in REPORTS:
        if report["id"] == report_id:
            return jsonify(report)
    return jsonify(error="no such report"), 404


@app.post("/v1/reports")
def add_report():
    title = (request.get_json(silent=True) or {}).get("title")
    if not isinstance(title, str) or not title:
        return jsonify(error="a report needs a title"), 400
    report = {"id": len(REPORTS) + 1, "title": title}
    REPORTS.append(report)
    return jsonify(report | {"created_by": caller()}), 201


@app.get("/admin/users")
def list_users():
    return jsonify(users=USERS)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
