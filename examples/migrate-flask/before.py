"""The reports API before Keygate: its keys are in the code."""

import functools
import os

from flask import Flask, jsonify, request

app = Flask(__name__)

valid_api_keys = [
    "5488459e25bd7dee5adf854e616e19119062f250fe1c73b02131a67cc250e8b8",
    "0264e3f53e70aa97e068c990d02caef889a939db9d6669a902c3560ac790c87c",
]


def requires_key(view):
    @functools.wraps(view)
    def checked(*args, **kwargs):
        if request.headers.get("X-API-Key") not in valid_api_keys:
            return jsonify(error="Unauthorized access"), 401
        return view(*args, **kwargs)

    return checked


@app.get("/v1/reports")
@requires_key
def list_reports():
    return jsonify(reports=["Sales, January", "Sales, February"])


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
