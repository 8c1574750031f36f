// Headers by which some server, framework, middleware or proxy lets a client say what the gate has decided or what only the platform
// knows. Rows are added by adding names.

/** Kind → the value that is sent, by the path that is asked for, and the names. `request` is what such a header needs to do harm. */
export const HOSTILE_HEADERS = {
  "the path": {
    value: () => "/admin/users",
    names: [
      "X-Original-URL", "X-Original-URI", "X-Original-Path", "X-Rewrite-URL", "X-Override-URL", "X-Request-URI",
      "X-Forwarded-URI",
      "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Waws-Unencoded-URL", "X-HTTP-DestinationURL",
      "X-Proxy-URL",
      "X-Matched-Path", "X-Invoke-Path", "X-Middleware-Rewrite", "Request-URI", "Path-Info", "PATH_INFO", "REQUEST_URI",
      "RAW_URI",
      "REDIRECT_URL", "SCRIPT_URL", "PATH_TRANSLATED", "HTTP_PATH_INFO", "UNENCODED_URL", "X_Original_URL", "X_REWRITE_URL",
    ],
  },
  "the mount, which is cut off the path": {
    value: (path) => /^\/[^/]*/.exec(path)[0],
    names: [
      "SCRIPT_NAME", "Script_Name", "script_name", "script-name", "X-Script-Name", "X_Script_Name", "X_SCRIPT_NAME",
      "X-Forwarded-Prefix",
      "X_Forwarded_Prefix", "X-Forwarded-Script-Name", "X-Ingress-Path", "HTTP_SCRIPT_NAME", "HTTP_X_SCRIPT_NAME",
    ],
  },
  "the method": {
    value: () => "DELETE",
    request: { method: "POST", body: "name=value" },
    names: [
      "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Override-Method", "X-Original-Method",
      "X-Forwarded-Method",
      "X-HTTP-Override", "Request-Method", "REQUEST_METHOD", "X_HTTP_METHOD_OVERRIDE", "X-HTTP_Method_Override",
      "HTTP_X_HTTP_METHOD_OVERRIDE",
    ],
  },
  "the host": {
    value: () => "evil.example",
    names: [
      "X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "HTTP_HOST", "SERVER_NAME",
      "X_Forwarded_Host", "X_FORWARDED_SERVER", "HTTP_X_FORWARDED_HOST",
    ],
  },
  "the port": { value: () => "8443", names: ["X-Forwarded-Port", "SERVER_PORT", "X_Forwarded_Port"] },
  "the scheme": {
    value: () => "https",
    names: [
      "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Scheme", "X-URL-Scheme", "X-Original-Proto",
      "CloudFront-Forwarded-Proto", "wsgi.url_scheme", "WSGI_URL_SCHEME", "X_Forwarded_Proto", "X_Scheme",
      "HTTP_X_FORWARDED_PROTO",
    ],
  },
  "that TLS is on": { value: () => "on", names: ["X-Forwarded-SSL", "X_Forwarded_SSL", "Front-End-HTTPS", "HTTPS"] },
  "all of it": {
    value: () => "for=198.51.100.66;host=evil.example;proto=https",
    names: ["Forwarded"],
  },
  "the client's address": {
    value: () => "198.51.100.66",
    names: [
      "X-Forwarded-For", "X-Forwarded", "Forwarded-For", "X-Original-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP",
      "True-Client-IP",
      "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "Remote-Addr", "REMOTE_ADDR", "REMOTE_HOST",
      "X-ProxyUser-IP", "Fastly-Client-IP", "Fly-Client-IP", "X-Azure-ClientIP", "X-Envoy-External-Address", "X_Forwarded_For",
      "X_Real_IP",
      "HTTP_X_FORWARDED_FOR",
    ],
  },
  "who calls": {
    value: () => "root",
    names: [
      "Remote-User", "REMOTE_USER", "X-Remote-User", "X_Remote_User", "X-Remote-Groups", "Remote-Groups", "Remote-Email",
      "Remote-Name",
      "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token",
      "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-WebAuth-User", "X-User", "X-User-ID",
      "X-Authenticated-User", "X-Authenticated-UserID", "X-Authenticated-Scope", "X-Consumer-ID", "X-Consumer-Custom-ID",
      "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier", "X-Credential-Username", "X-Anonymous-Consumer",
      "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-ID", "X-Goog-IAP-JWT-Assertion", "X-MS-Client-Principal",
      "X-MS-Client-Principal-ID", "X-MS-Client-Principal-Name", "X-Amzn-OIDC-Identity", "X-Amzn-OIDC-Data", "X-UserInfo",
      "X-Endpoint-API-UserInfo", "Tailscale-User-Login", "X-Authentik-Username", "OIDC_CLAIM_sub", "OIDC-Claim-Sub", "AUTH_USER",
      "AUTH_TYPE", "LOGON_USER", "HTTP_REMOTE_USER", "X-Keygate-Subject", "X_Keygate_Subject", "x.keygate.subject",
    ],
  },
  "the client's certificate": {
    value: () => "SUCCESS",
    names: [
      "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Verify", "X-SSL-Client-Cert", "X-SSL-Client-Verify",
      "X-SSL-Client-DN",
      "X-SSL-Client-S-DN", "SSL-Client-Cert", "SSL-Client-Verify", "SSL_CLIENT_VERIFY", "X-Forwarded-Client-Cert",
      "X-Forwarded-TLS-Client-Cert", "X-ARR-ClientCert", "X-Amzn-MTLS-Clientcert",
    ],
  },
  "a file to send": {
    value: () => "/etc/passwd=/public",
    names: ["X-Sendfile", "X-Sendfile-Type", "X-Accel-Redirect", "X-Accel-Mapping", "DOCUMENT_ROOT", "SCRIPT_FILENAME", "CONTEXT_PATH"],
  },
  "another server to ask, or a step to skip": {
    value: () => "http://evil.example/",
    names: ["Proxy", "HTTP_PROXY", "X-Middleware-Subrequest", "X-Forwarded-Anything", "gunicorn.socket", "X!Odd", "X~Odd"],
  },
  "where the body ends": {
    value: () => "1",
    request: { method: "POST", body: "name=value" },
    names: ["Content_Length", "CONTENT_LENGTH", "content_length"],
  },
  "how the body is sent": {
    value: () => "chunked",
    request: { method: "POST", body: "name=value" },
    names: ["Transfer_Encoding", "TRANSFER_ENCODING"],
  },
};

/** Of these, the ones that docs/headers.md does not have: they are forwarded, as the application's own. */
export const NOT_IN_TABLE = [
  "X-Original-Path", "X-Override-URL", "X-Request-URI", "X-HTTP-DestinationURL", "X-Proxy-URL", "Request-URI",
  "Path-Info",
  "X-HTTP-Override", "Request-Method", "X-Originating-IP", "X-User-ID", "X-Sendfile",
];
