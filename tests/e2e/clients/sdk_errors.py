"""Calls a URL with the SDKs of OpenAI and Stripe, and prints what their exceptions say of the refusal, as JSON."""

import json
import os

import openai
import stripe

url, key = os.environ["API_URL"], os.environ["API_KEY"]


def openai_error():
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    try:
        client.models.list()
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code, "type": error.type,
                "message": body.get("message")}


def stripe_error():
    client = stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0)
    try:
        client.v1.customers.list()
    except stripe.StripeError as error:
        return {"class": type(error).__name__, "status": error.http_status, "code": error.error.code, "type": error.error.type,
                "message": error.user_message}


print(json.dumps({"openai": openai_error(), "stripe": stripe_error()}))
