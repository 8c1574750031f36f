"""What an application does with a vault, by Azure's own SDK. Prints what came of it as JSON."""

import json
import sys

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import EnvironmentCredential
from azure.keyvault.secrets import SecretClient

client = SecretClient(vault_url=sys.argv[1], credential=EnvironmentCredential())
seen = {}
try:
    client.get_secret("by-sdk")
except ResourceNotFoundError as error:
    seen["absent"] = error.error.code
written = client.set_secret("by-sdk", sys.argv[2], content_type="text/plain", tags={"team": "billing"})
read = client.get_secret("by-sdk")
seen["same"] = (read.value, read.properties.version) == (sys.argv[2], written.properties.version)
seen["version"] = read.properties.version
seen["tags"] = read.properties.tags
client.set_secret("deleted", "x")
client.begin_delete_secret("deleted").wait()
seen["deleted"] = client.get_deleted_secret("deleted").name
try:
    client.set_secret("deleted", "y")
except HttpResponseError as error:
    seen["conflict"] = [error.status_code, error.error.innererror.get("code")]
print(json.dumps(seen))
