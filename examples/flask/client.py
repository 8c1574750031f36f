"""Lists the reports of an API behind the gate, or adds one.

    export API_KEY=...                        # the key that `keygate issue` printed
    python client.py                          # lists
    python client.py "Sales, March"           # adds a report with this title
    python client.py --path /admin/users      # asks for another resource

API_URL is the URL of the API (default http://127.0.0.1:8787, where `wrangler dev` listens).
The key is in the environment, not in this file, and not on the command line, where `ps` would show it.
"""

import argparse
import os
import sys

import requests

# Seconds to connect, and between two reads of the response. Without timeouts `requests` waits forever.
TIMEOUTS = (5, 30)


def main():
    arguments = parse_arguments()
    key = os.environ.get("API_KEY", "").strip()
    if not key:
        return fail(2, "API_KEY is not set; put your key there: export API_KEY=<the key that you were given>")
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        # Checked here, because the HTTP library's error message would contain the key.
        return fail(2, "API_KEY holds a character that no key has; copy the key again, whole and alone")
    url = os.environ.get("API_URL", "http://127.0.0.1:8787").rstrip("/") + arguments.path
    try:
        answer = ask(url, key, arguments.title)
    except requests.Timeout:
        return fail(1, f"{url} did not answer in time; try again later")
    except requests.RequestException as error:
        # Only the type of the error: its message may contain what was sent.
        return fail(1, f"cannot reach {url} ({type(error).__name__}); is API_URL right, and the API running?")
    if answer.ok:
        print(answer.text.strip())
        return 0
    return fail(1, explain(answer))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("title", nargs="?", help="add a report with this title, instead of listing")
    parser.add_argument("--path", default="/v1/reports", help="default: /v1/reports")
    return parser.parse_args()


def ask(url, key, title):
    with requests.Session() as session:
        # `session.auth` and not a plain header, because `requests` lets ~/.netrc override a plain header.
        session.auth = BearerKey(key)
        # A redirect could send the key to another host.
        if title is None:
            return session.get(url, timeout=TIMEOUTS, allow_redirects=False)
        return session.post(url, json={"title": title}, timeout=TIMEOUTS, allow_redirects=False)


class BearerKey(requests.auth.AuthBase):
    """Sends the key as a bearer token."""

    def __init__(self, key):
        self._key = key

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def explain(answer):
    """Describes the error, from the gate's problem details (RFC 9457) if the response has them."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "code" not in problem:
        return f"the API answered {answer.status_code} {answer.reason}"
    text = f"{answer.status_code} {problem['code']}: {problem.get('detail', '')}"
    if answer.status_code in (429, 503) and "Retry-After" in answer.headers:
        text += f" Try again in {answer.headers['Retry-After']} s."
    return f"{text} (request {problem.get('request_id', 'without an id')})"


def fail(status, message):
    print(f"client.py: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
