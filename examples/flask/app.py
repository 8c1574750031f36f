"""A small API for reports, as one writes it before anybody asks for keys.

There is no @require_api_key in here and nothing about keys: the gate in front of it lets only their holders through.
Let nobody reach this server but the gate. It listens on loopback; PORT says where (default 5000).
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
    """Who holds the key of this request; the gate says so, and it removes what a client sends under this name."""
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
