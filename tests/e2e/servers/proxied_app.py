"""The Flask application as it is often set up behind a proxy: it believes what proxies state in headers."""

from werkzeug.middleware.proxy_fix import ProxyFix

from flask_app import app


class ReverseProxied:
    """The middleware that is widely copied to mount an application below a path and to tell it of HTTPS."""

    def __init__(self, app):
        self._app = app

    def __call__(self, environ, start_response):
        script_name = environ.get("HTTP_X_SCRIPT_NAME", "")
        if script_name:
            environ["SCRIPT_NAME"] = script_name
            if environ["PATH_INFO"].startswith(script_name):
                environ["PATH_INFO"] = environ["PATH_INFO"][len(script_name) :]
        if scheme := environ.get("HTTP_X_SCHEME", ""):
            environ["wsgi.url_scheme"] = scheme
        if server := environ.get("HTTP_X_FORWARDED_SERVER", ""):
            environ["HTTP_HOST"] = server
        if user := environ.get("HTTP_X_REMOTE_USER") or environ.get("HTTP_REMOTE_USER"):
            environ["REMOTE_USER"] = user
        return self._app(environ, start_response)


app.wsgi_app = ProxyFix(ReverseProxied(app.wsgi_app), x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
