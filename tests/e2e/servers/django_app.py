"""A Django application with Django REST framework that answers with what it sees; gunicorn serves it.

With TRUSTING=1 it believes what proxies state in headers, as sites are often configured.
"""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

TRUSTING = os.environ.get("TRUSTING") == "1"

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"]
    + [f"{__name__}.ProxyUser", f"{__name__}.MethodOverride"] * TRUSTING,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    USE_X_FORWARDED_HOST=TRUSTING,
    USE_X_FORWARDED_PORT=TRUSTING,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https") if TRUSTING else None,
)
django.setup()

from rest_framework.decorators import api_view  # noqa: E402: needs the settings
from rest_framework.response import Response  # noqa: E402
from rest_framework.urlpatterns import format_suffix_patterns  # noqa: E402

from wsgi_app import report  # noqa: E402

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


# Where sites look for the client's address, the surest first, as they think.
ADDRESS_HEADERS = [
    "HTTP_X_REAL_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_X_FORWARDED_FOR",
]


def seen(request, resource):
    sources = ADDRESS_HEADERS * TRUSTING + ["REMOTE_ADDR"]
    address = next(request.META[name] for name in sources if name in request.META)
    return report(
        request.META,
        resource,
        method=request.method,
        mount=request.META["SCRIPT_NAME"],
        path=request.path_info,
        scheme=request.scheme,
        host=request.get_host(),
        address=address.split(",")[0],
        body=request.body.decode("latin1"),
    )


def view(resource):
    return api_view(METHODS)(lambda request, **_: Response(seen(request._request, resource)))


def handler404(request, exception):
    return JsonResponse(seen(request, None), status=404)


public, admin, closed, items = (view(name) for name in ["public", "admin", "closed", "items"])

urlpatterns = format_suffix_patterns(
    [
        path("public/", public),
        path("public/<path:rest>", public),
        path("admin/", admin),
        path("admin/users", admin),
        path("admin/users/<int:pk>", admin),
        path("closed/", closed),
        path("closed/<path:rest>", closed),
        path("api/items/<str:pk>", items),
    ]
)


class ProxyUser:
    """Takes the user's name from headers, as subclasses of RemoteUserMiddleware do; without its sessions and its database."""

    def __init__(self, get_response):
        self._get_response = get_response

    def __call__(self, request):
        for name in ["HTTP_REMOTE_USER", "HTTP_X_REMOTE_USER", "HTTP_X_FORWARDED_USER"]:
            if user := request.META.get(name):
                request.META["REMOTE_USER"] = user
        return self._get_response(request)


class MethodOverride:
    """Takes the method from a header, as several packages do."""

    def __init__(self, get_response):
        self._get_response = get_response

    def __call__(self, request):
        if method := request.META.get("HTTP_X_HTTP_METHOD_OVERRIDE"):
            request.method = method.upper()
        return self._get_response(request)


application = get_wsgi_application()
