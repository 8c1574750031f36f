//! Headers by which some software overrides a part of the request that the gate has checked, each with the software that reads it.

/// The part of a request that a header overrides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The path, or what the application is mounted at.
    Path,
    /// The method.
    Method,
    /// Host, scheme or port.
    Host,
    /// The caller's identity: user, groups, consumer, claims.
    Identity,
    /// The client's address.
    Address,
    /// The client's TLS certificate.
    Certificate,
    /// A file on the server.
    File,
    /// The proxy of the origin's own requests.
    Proxy,
    /// Information that a framework passes between its own stages.
    Routing,
}

/// A header, or all headers with a prefix.
#[derive(Clone, Copy, Debug)]
pub struct HeaderRow {
    pattern: &'static str, // INVARIANT: lower case; a `*` only as the last sign
    /// The part of the request that it overrides.
    pub family: Family,
}

impl HeaderRow {
    /// The name, or the prefix.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.pattern.as_bytes() {
            [.., b'*'] => self.pattern.split_at(self.pattern.len() - 1).0,
            _ => self.pattern,
        }
    }

    /// Whether the row is for all names with this prefix.
    #[must_use]
    pub const fn is_prefix(&self) -> bool {
        matches!(self.pattern.as_bytes(), [.., b'*'])
    }

    fn matches(&self, name: &str) -> bool {
        if self.is_prefix() { name.starts_with(self.name()) } else { name == self.name() }
    }
}

/// The row for a header, whose name is in lower case.
pub(super) fn find(name: &str) -> Option<&'static HeaderRow> {
    // INVARIANT: rows are sorted by name, and none begins with a prefix row's name: if a prefix row matches, it is the last
    // one that is not after `name`.
    let after = TABLE.partition_point(|row| row.name() <= name);
    TABLE.get(after.checked_sub(1)?).filter(|row| row.matches(name))
}

/// Makes the table; who reads a header and where that is written are kept for the tests and the documents alone.
macro_rules! header_table {
    ($($pattern:literal, $family:ident, $reader:literal, $source:literal;)*) => {
        /// Every row, in the order of names.
        pub const TABLE: &[HeaderRow] = &[$(HeaderRow { pattern: $pattern, family: Family::$family }),*];

        /// Pattern, reader and source of every row.
        #[cfg(test)]
        pub(super) const READERS: &[(&str, &str, &str)] = &[$(($pattern, $reader, $source)),*];
    };
}

header_table! {
    "ali-cdn-real-ip", Address, "apps behind Alibaba Cloud CDN †", "https://www.alibabacloud.com/help/en/cdn/";
    "auth-user", Identity, "apps behind Lemonldap::NG †", "https://lemonldap-ng.org/documentation/latest/";
    "camel*", Routing, "Apache Camel message headers (CamelHttpUri, CamelBeanMethodName, CamelExecCommand*), CVE-2025-27636", "https://camel.apache.org/security/CVE-2025-27636.html";
    "cas-user", Identity, "apps behind mod_auth_cas (CASAuthNHeader) †", "https://github.com/apereo/mod_auth_cas";
    "cf-access-authenticated-user-*", Identity, "apps that trust Cloudflare Access without verifying its JWT †", "https://developers.cloudflare.com/cloudflare-one/";
    "cf-client-cert-*", Certificate, "apps behind Cloudflare mTLS forwarding; only truthful while forwarding is on †", "https://developers.cloudflare.com/ssl/client-certificates/";
    "cf-pseudo-ipv4", Address, "request-ip and others; only truthful while Cloudflare Pseudo IPv4 is on, else the client may set it", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "client-cert*", Certificate, "RFC 9440 Client-Cert and Client-Cert-Chain †", "https://www.rfc-editor.org/rfc/rfc9440";
    "client-ip", Address, "Rails ActionDispatch::RemoteIp, ThinkPHP, PHP (HTTP_CLIENT_IP)", "https://github.com/rails/rails/blob/00a0a4ddebe0160f851d28e29d5fb7e8e7a2a5dc/actionpack/lib/action_dispatch/middleware/remote_ip.rb";
    "cloudfront-forwarded-proto", Host, "apps behind CloudFront (phpMyAdmin, Jetty customizers, Laravel middleware) †", "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html";
    "cloudfront-viewer-*", Address, "apps behind CloudFront (CloudFront-Viewer-Address) †", "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html";
    "coming-from", Address, "older phpMyAdmin and Xaraya-style PHP †", "https://github.com/phpmyadmin/phpmyadmin";
    "cq-*", Path, "Adobe AEM Dispatcher: CQ-Handle/CQ-Path name the path to flush, CQ-Action the operation", "https://github.com/wcm-io-devops/ansible-aem-dispatcher-flush";
    "dapr-app-id", Routing, "Dapr sidecar (chooses the invoked service)", "https://docs.dapr.io/zh-hans/developing-applications/building-blocks/_print";
    "do-connecting-ip", Address, "apps on DigitalOcean App Platform †", "https://docs.digitalocean.com/products/app-platform/";
    "eo-client-ip", Address, "apps behind Tencent EdgeOne †", "https://edgeone.ai/document";
    "fastly-client-ip", Address, "request-ip, apps behind Fastly", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "fastly-ssl", Host, "apps behind Fastly that decide https by it †", "https://www.fastly.com/documentation/reference/http/http-headers/Fastly-SSL/";
    "fly-client-ip", Address, "Gin TrustedPlatform, apps on Fly.io †", "https://fly.io/docs/networking/request-headers/";
    "fly-forwarded-*", Host, "apps on Fly.io (Fly-Forwarded-Proto, -Port, -Ssl) †", "https://fly.io/docs/networking/request-headers/";
    "forwarded", Host, "RFC 7239: Jetty, gorilla handlers, Yii 2, Keycloak, Symfony", "https://github.com/jetty/jetty.project/blob/02ec06ead9571809d689ec4f778798dd2ae59a05/jetty-server/src/main/java/org/eclipse/jetty/server/ForwardedRequestCustomizer.java";
    "forwarded-for", Address, "request-ip; phpMyAdmin-style PHP (HTTP_FORWARDED_FOR)", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "forwarded-proto", Host, "Dancer behind_proxy: HTTP_FORWARDED_PROTO †", "https://metacpan.org/pod/Dancer";
    "front-end-https", Host, "Yii 2, CodeIgniter 3 and other PHP/.NET behind ISA/TMG", "https://github.com/yiisoft/yii2/blob/0041f034fd55f95a65b49d97e6974522b9cf3049/framework/web/Request.php";
    "https", Host, "WooCommerce before 2.3.13, PHP that reads HTTP_HTTPS", "https://github.com/woocommerce/woocommerce/issues/8479";
    "impersonate-*", Identity, "Kubernetes API server, Kubernetes Dashboard, Rancher", "https://www.kubernetes.io/docs/reference/access-authn-authz/user-impersonation/";
    "incap-client-ip", Address, "apps and PHP firewalls behind Imperva/Incapsula †", "https://docs.imperva.com/";
    "iv-*", Identity, "back ends of IBM WebSEAL / Verify Access junctions (iv-user, iv-groups, iv-creds)", "https://www.ibm.com/docs/en/sva/11.0.3?topic=solutions-client-identity-in-http-headers-c";
    "knative-serving-*", Routing, "Knative activator (knative-serving-revision, -namespace)", "https://github.com/knative/serving/blob/01089481863098cd9a13ed8a573e4891f745d03c/pkg/activator/activator.go";
    "kubeflow-*", Identity, "Kubeflow (kubeflow-userid, kubeflow-groups) †", "https://www.kubeflow.org/docs/";
    "l5d-*", Routing, "Linkerd: l5d-dst-override, l5d-dtab choose the destination", "https://github.com/linkerd/linkerd2-proxy/pull/173";
    "ms-aspnetcore-*", Certificate, "ASP.NET Core IIS integration: MS-ASPNETCORE-CLIENTCERT, -WINAUTHTOKEN, -TOKEN, -EVENT", "https://github.com/dotnet/aspnetcore/blob/0533059b2d99d52485b60533166d8faaa25eaff2/src/Servers/IIS/IISIntegration/src/IISMiddleware.cs";
    "next-resume", Routing, "Next.js internal resume", "https://github.com/vercel/next.js/blob/03eb7eddb0921f6e00ac81f87737d3180985ac1e/packages/next/src/server/lib/server-ipc/utils.ts";
    "ngrok-auth-*", Identity, "apps behind ngrok OAuth/OIDC (Ngrok-Auth-User-Email, -Id, -Name) †", "https://ngrok.com/docs";
    "oam-remote-user*", Identity, "apps behind Oracle Access Manager WebGate (HTTP_OAM_REMOTE_USER; django-webgate, Oracle REST) †", "https://docs.oracle.com/";
    "oidc-*", Identity, "apps behind mod_auth_openidc reading HTTP_OIDC_CLAIM_*, HTTP_OIDC_ACCESS_TOKEN (hyphen form collapses to it in CGI/WSGI/Rack/PHP) †", "https://github.com/OpenIDC/mod_auth_openidc";
    "proxy", Proxy, "httpoxy: CGI, PHP, Python, Go and others take HTTP_PROXY from it", "https://github.com/advisories/GHSA-r72m-c53q-265m";
    "proxy-auth-cert", Certificate, "Jetty ForwardedRequestCustomizer (cipher suite, marks the request secure)", "https://github.com/jetty/jetty.project/blob/02ec06ead9571809d689ec4f778798dd2ae59a05/jetty-server/src/main/java/org/eclipse/jetty/server/ForwardedRequestCustomizer.java";
    "proxy-client-ip", Address, "Java helpers such as Hutool ServletUtil.getClientIP †", "https://github.com/dromara/hutool";
    "proxy-ssl-id", Certificate, "Jetty ForwardedRequestCustomizer (TLS session id, marks the request secure)", "https://github.com/jetty/jetty.project/blob/02ec06ead9571809d689ec4f778798dd2ae59a05/jetty-server/src/main/java/org/eclipse/jetty/server/ForwardedRequestCustomizer.java";
    "remote-*", Identity, "FreshRSS (Remote-User); Authelia Remote-User, -Groups, -Name, -Email; paperless-ngx, NetBox, Navidrome (HTTP_REMOTE_USER)", "https://github.com/FreshRSS/FreshRSS/blob/0fafc92275ba25fe89bde2afd16f572d3e470094/docs/en/admins/09_AccessControl.md";
    "request-base", Path, "Dancer behind_proxy: HTTP_REQUEST_BASE †", "https://metacpan.org/pod/Dancer2::Core::Request";
    "script-name", Path, "Malcom and WSGI wrappers that copy HTTP_SCRIPT_NAME to SCRIPT_NAME and cut PATH_INFO †", "https://github.com/tomchop/malcom";
    "sf-context-*", Identity, "apps in Snowflake Container Services (Sf-Context-Current-User) †", "https://docs.snowflake.com/";
    "shib-*", Identity, "apps behind Shibboleth SP with ShibUseHeaders (HTTP_SHIB_*) †", "https://shibboleth.atlassian.net/wiki/spaces/SP3/";
    "sm-user*", Identity, "SiteMinder apps, Spring Security RequestHeaderAuthenticationFilter default (hyphen form collapses to HTTP_SM_USER, HTTP_SM_USERDN)", "https://github.com/spring-projects/spring-security/blob/052537c8b04182595e92abd1e1949b0ff7e731b4/web/src/main/java/org/springframework/security/web/authentication/preauth/RequestHeaderAuthenticationFilter.java";
    "ssl-client-*", Certificate, "apps behind ingress-nginx (ssl-client-cert, -verify, -subject-dn, -issuer-dn), Keycloak nginx X.509 lookup, Foreman-style HTTP_SSL_CLIENT_* †", "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/";
    "tailscale-*", Identity, "apps behind Tailscale Serve (Tailscale-User-Login, -Name, -Profile-Pic, Tailscale-App-Capabilities) †", "https://tailscale.com/s/serve-headers";
    "teleport-jwt-assertion", Identity, "apps behind Teleport (signed, but not every app verifies) †", "https://goteleport.com/docs/";
    "thanos-tenant", Identity, "Thanos Receive and Query (tenant)", "https://github.com/thanos-io/thanos/blob/00ba39744b74b1b4c0738a5249fc4461a037c31d/docs/components/receive.md";
    "true-client-ip", Address, "request-ip, chi, apps behind Akamai", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "wl-proxy-*", Address, "Oracle WebLogic: WL-Proxy-Client-IP, -Client-Cert, -SSL, -Client-Keysize; Java IP helpers †", "https://docs.oracle.com/en/middleware/standalone/weblogic-server/";
    "x-0-client-ip", Address, "request-ip (Edgio)", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "x-accel-*", File, "Rack::Sendfile (X-Accel-Mapping), Plack XSendfile", "https://github.com/advisories/GHSA-R657-RXJC-J557";
    "x-alfresco-remote-user", Identity, "Alfresco external authentication †", "https://docs.alfresco.com/";
    "x-amz-copy-source*", File, "Amazon S3 (CopyObject, UploadPartCopy) †", "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html";
    "x-amzn-lambda-context", Identity, "apps under AWS Lambda Web Adapter †", "https://github.com/awslabs/aws-lambda-web-adapter";
    "x-amzn-lattice-*", Identity, "targets of AWS VPC Lattice (caller identity) †", "https://docs.aws.amazon.com/vpc-lattice/";
    "x-amzn-mtls-*", Certificate, "targets of AWS ALB mutual TLS (X-Amzn-Mtls-Clientcert, -Subject, ...) †", "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html";
    "x-amzn-oidc-*", Identity, "targets of AWS ALB authentication (identity and access token in plain text)", "https://github.com/awsdocs/elb-application-load-balancers-user-guide/blob/17c1c55438647986fe3f21fb5416d0362c16731b/doc_source/listener-authenticate-users.md";
    "x-amzn-request-context", Identity, "apps under AWS Lambda Web Adapter (authorizer, identity, source address)", "https://github.com/awslabs/aws-lambda-web-adapter/blob/0275fb15772563672eaaada1d96f7c1d543feb5d/README.md";
    "x-anonymous-consumer", Identity, "back ends of Kong", "https://github.com/Kong/kong/commit/f23162308948a4309f07bfb476c472e455db4ff4";
    "x-apigateway-*", Identity, "@fastify/aws-lambda, serverless-express (x-apigateway-event, -context); Google API Gateway back ends (X-Apigateway-Api-Userinfo)", "https://github.com/fastify/aws-lambda-fastify";
    "x-appengine-*", Identity, "Google App Engine apps (X-Appengine-Inbound-Appid, -Cron, -QueueName, -User-IP); Gin TrustedPlatform; request-ip", "https://cloud.google.com/appengine/docs/standard/reference/request-headers";
    "x-arr-clientcert", Certificate, "ASP.NET Core certificate forwarding, apps on Azure App Service †", "https://learn.microsoft.com/en-us/aspnet/core/security/authentication/certauth";
    "x-arr-ssl", Host, "express-sslify, koa-sslify (trustAzureHeader) and other apps on Azure App Service †", "https://www.npmjs.com/package/express-sslify";
    "x-artifactory-override-base-url", Host, "JFrog Artifactory 6 and earlier (base URL) †", "https://jfrog.com/help/";
    "x-astro-*", Path, "Astro Vercel adapter before 10.0.2: x-astro-path overrides the route, x-astro-locals sets locals †", "https://github.com/advisories/GHSA-mr6q-rp88-fx84";
    "x-auth-couchdb-*", Identity, "CouchDB proxy authentication (user, roles)", "https://github.com/apache/couchdb/blob/05659effc7c6f080dd90e908ea693928f4f6722b/src/docs/src/api/server/authn.rst";
    "x-auth-email", Identity, "Posit Connect (configuration example); Louketo/Keycloak Gatekeeper back ends", "https://docs.posit.co/connect/admin/authentication/proxied/";
    "x-auth-groups", Identity, "Posit Connect (configuration example); Louketo/Keycloak Gatekeeper back ends", "https://docs.posit.co/connect/admin/authentication/proxied/";
    "x-auth-request-*", Identity, "apps behind oauth2-proxy", "https://oauth2-proxy.github.io/oauth2-proxy/configuration/integration";
    "x-auth-roles", Identity, "back ends of Louketo/Keycloak Gatekeeper †", "https://github.com/louketo/louketo-proxy";
    "x-auth-subject", Identity, "back ends of Louketo/Keycloak Gatekeeper †", "https://github.com/louketo/louketo-proxy";
    "x-auth-userid", Identity, "back ends of Louketo/Keycloak Gatekeeper †", "https://github.com/louketo/louketo-proxy";
    "x-auth-username", Identity, "Posit Connect proxied authentication (default header)", "https://docs.posit.co/connect/admin/authentication/proxied/";
    "x-authenticated-*", Identity, "back ends of Kong OAuth2 (X-Authenticated-Userid, X-Authenticated-Scope)", "https://github.com/gluufederation/gluu-gateway/issues/52";
    "x-authentik-*", Identity, "apps behind authentik proxy outpost", "https://docs.goauthentik.io/docs/providers/proxy";
    "x-azure-clientip", Address, "back ends of Azure Front Door", "https://github.com/MicrosoftDocs/azure-docs/blob/0033b7c3ac19c23c77404cd253f55a03cc70a90d/articles/frontdoor/front-door-http-headers-protocol.md";
    "x-azure-fdid", Routing, "origins that accept only one Azure Front Door profile", "https://github.com/MicrosoftDocs/azure-docs/blob/0033b7c3ac19c23c77404cd253f55a03cc70a90d/articles/frontdoor/front-door-http-headers-protocol.md";
    "x-azure-socketip", Address, "back ends of Azure Front Door", "https://github.com/MicrosoftDocs/azure-docs/blob/0033b7c3ac19c23c77404cd253f55a03cc70a90d/articles/frontdoor/front-door-http-headers-protocol.md";
    "x-cf-app-instance", Routing, "Cloud Foundry Gorouter (chooses the app instance) †", "https://docs.cloudfoundry.org/concepts/http-routing.html";
    "x-cf-forwarded-url", Path, "Cloud Foundry route services; Apigee Microgateway resets the target path from it", "https://unpkg.com/microgateway-plugins@3.3.9/cloud-foundry-route-service/README.md";
    "x-cf-process-instance", Routing, "Cloud Foundry Gorouter (chooses the process instance) †", "https://docs.cloudfoundry.org/concepts/http-routing.html";
    "x-cf-proxy-*", Routing, "Cloud Foundry Gorouter (X-CF-Proxy-Signature, X-CF-Proxy-Metadata)", "https://github.com/nulldriver/logging-route-service";
    "x-client-cert*", Certificate, "Puppet Server (X-Client-Cert), Kong tls-metadata-headers (X-Client-Cert-Subject-DN, ...), ASP.NET Core certificate forwarding", "https://github.com/puppetlabs/puppetserver/blob/0469c41e0ec34519dbf2a8f617e0425b3b41e5d0/documentation/external_ssl_termination.markdown";
    "x-client-dn", Certificate, "Puppet Server allow-header-cert-info", "https://github.com/puppetlabs/puppetserver/blob/0469c41e0ec34519dbf2a8f617e0425b3b41e5d0/documentation/external_ssl_termination.markdown";
    "x-client-ip", Address, "mod_wsgi, request-ip, ThinkPHP, CodeIgniter", "https://github.com/GrahamDumpleton/mod_wsgi/blob/2e4e11842c52d7253dd8cae3dcfca551369dc3e0/docs/configuration-directives/WSGITrustedProxyHeaders.rst";
    "x-client-verify", Certificate, "Puppet Server allow-header-cert-info", "https://github.com/puppetlabs/puppetserver/blob/0469c41e0ec34519dbf2a8f617e0425b3b41e5d0/documentation/external_ssl_termination.markdown";
    "x-cluster-client-ip", Address, "request-ip, ThinkPHP, CodeIgniter (Zeus, Rackspace)", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "x-coming-from", Address, "older phpMyAdmin and Xaraya-style PHP †", "https://github.com/phpmyadmin/phpmyadmin";
    "x-consumer-*", Identity, "back ends of Kong and APISIX (X-Consumer-ID, -Custom-ID, -Username, -Groups)", "https://github.com/Kong/kong/commit/f23162308948a4309f07bfb476c472e455db4ff4";
    "x-copy-from*", File, "OpenStack Swift †", "https://docs.openstack.org/api-ref/object-store/";
    "x-credential-*", Identity, "back ends of Kong and APISIX (X-Credential-Identifier, X-Credential-Username)", "https://apisix.apache.org/docs/apisix/plugins/key-auth";
    "x-endpoint-api-userinfo", Identity, "Google Cloud Endpoints back ends (ESP), Airbyte †", "https://cloud.google.com/endpoints/docs";
    "x-envoy-*", Path, "Envoy/Istio: x-envoy-original-path, x-envoy-original-dst-host, x-envoy-internal, retry and timeout control consumed from downstream", "https://github.com/envoyproxy/envoy/blob/040783c8c0b423531a51d33f2d4765ca3de0d96e/docs/root/configuration/http/http_filters/router_filter.rst";
    "x-forwarded", Address, "request-ip (Node) and copies of it; phpMyAdmin-style PHP", "https://github.com/pbojinov/request-ip/blob/08c9c13589080d0170422cd7c612267d41e58c57/src/index.js";
    "x-forwarded-*", Host, "mod_wsgi (-port -server -scheme -ssl -https -script-name), ASP.NET Core and Spring (-prefix), Rack (-ssl -scheme -port), Traefik (-uri -method -tls-client-cert), Envoy (-client-cert), Jenkins/SonarQube (-user -groups -login); all but -for -host -proto, which the gate sets itself", "https://github.com/GrahamDumpleton/mod_wsgi/blob/2e4e11842c52d7253dd8cae3dcfca551369dc3e0/docs/configuration-directives/WSGITrustedProxyHeaders.rst";
    "x-goog-authenticated-user-*", Identity, "apps behind Google IAP †", "https://cloud.google.com/iap/docs/identity-howto";
    "x-goog-copy-source*", File, "Google Cloud Storage (XML API) †", "https://docs.cloud.google.com/storage/docs/xml-api/put-object-copy";
    "x-goog-iap-jwt-assertion", Identity, "apps behind Google IAP (signed, but not every app verifies) †", "https://cloud.google.com/iap/docs/signed-headers-howto";
    "x-graylog-server-url", Host, "Graylog (external URI, per request)", "https://github.com/Graylog2/graylog2-server/blob/29128d76f84a7b48273574495549d6b8e4809747/graylog2-server/src/main/java/org/graylog2/configuration/HttpConfiguration.java";
    "x-host", Host, "mod_wsgi (overrides HTTP_HOST)", "https://github.com/GrahamDumpleton/mod_wsgi/blob/2e4e11842c52d7253dd8cae3dcfca551369dc3e0/docs/configuration-directives/WSGITrustedProxyHeaders.rst";
    "x-host-override", Host, "older Kong 0.x (selects the API instead of Host)", "https://github.com/Kong/kong/blob/0045b67290032646c1ad56bbd871ad340bf9f476/kong/constants.lua";
    "x-http-host-override", Host, "frameworks reported by PortSwigger (no product named) †", "https://portswigger.net/web-security/host-header/exploiting";
    "x-http-method", Method, "Iris; SharePoint REST and OData 2 services; Plack/Express when so configured", "https://github.com/kataras/iris/blob/3342ac5439736f8b713a58d1b5cc1aba9fd94e36/middleware/methodoverride/methodoverride.go";
    "x-http-method-override", Method, "Rack/Rails, Symfony/Laravel, Slim, WordPress REST, ASP.NET MVC and Core, Jersey, CXF (any method), Vert.x, gorilla, Iris, grpc-gateway, Plug, Plack, method-override (Node)", "https://github.com/rack/rack/blob/0d7e9f54eb14ef43c21cf93245177685f64000c3/lib/rack/method_override.rb";
    "x-https", Host, "mod_wsgi (wsgi.url_scheme)", "https://github.com/GrahamDumpleton/mod_wsgi/blob/2e4e11842c52d7253dd8cae3dcfca551369dc3e0/docs/configuration-directives/WSGITrustedProxyHeaders.rst";
    "x-identity-status", Identity, "OpenStack services behind keystonemiddleware (Confirmed = authenticated)", "https://github.com/openstack/keystonemiddleware/blob/07a6d149193042769e6e77b06771d40b19c17f08/doc/source/middlewarearchitecture.rst";
    "x-ingress-path", Path, "Home Assistant add-ons (root_path / SCRIPT_NAME, and trusted as mark of an authenticated request) †", "https://developers.home-assistant.io/docs/add-ons/presentation";
    "x-invoke-*", Routing, "Next.js 13-14 internal routing (x-invoke-path, -query, -status, -output); Vercel wrappers †", "https://github.com/vercel/next.js/pull/55114";
    "x-jfrog-override-base-url", Host, "JFrog Artifactory 7 (base URL of links and of the registry) †", "https://jfrog.com/help/";
    "x-jwt-assertion", Identity, "back ends of WSO2 API Manager/Identity Server (often decoded without check) †", "https://apim.docs.wso2.com/";
    "x-matched-path", Routing, "Next.js (minimal mode route)", "https://github.com/vercel/next.js/blob/03eb7eddb0921f6e00ac81f87737d3180985ac1e/packages/next/src/server/lib/server-ipc/utils.ts";
    "x-method-override", Method, "Iris; IBM TRIRIGA; Express method-override when so configured", "https://github.com/kataras/iris/blob/3342ac5439736f8b713a58d1b5cc1aba9fd94e36/middleware/methodoverride/methodoverride.go";
    "x-middleware-*", Routing, "Next.js (x-middleware-subrequest skips middleware, CVE-2025-29927; -rewrite, -next, -override-headers)", "https://github.com/advisories/GHSA-f82v-jwr5-mffw";
    "x-ms-client-principal*", Identity, "Azure App Service / Static Web Apps authentication", "https://learn.microsoft.com/en-gb/azure/app-service/configure-authentication-user-identities";
    "x-ms-copy-source*", File, "Azure Blob Storage (Copy Blob, Put Block From URL) †", "https://learn.microsoft.com/en-us/rest/api/storageservices/copy-blob";
    "x-ms-original-url", Path, "Azure Static Web Apps functions; svelte-adapter-azure-swa †", "https://github.com/geoffrich/svelte-adapter-azure-swa";
    "x-ms-token-*", Identity, "Azure App Service authentication (provider tokens)", "https://learn.microsoft.com/en-gb/azure/app-service/configure-authentication-user-identities";
    "x-next-resume*", Routing, "Next.js internal resume (x-next-resume-state-length)", "https://github.com/vercel/next.js/blob/03eb7eddb0921f6e00ac81f87737d3180985ac1e/packages/next/src/server/lib/server-ipc/utils.ts";
    "x-nf-client-connection-ip", Address, "Netlify functions †", "https://docs.netlify.com/";
    "x-now-*", Routing, "Next.js (x-now-route-matches)", "https://github.com/vercel/next.js/blob/03eb7eddb0921f6e00ac81f87737d3180985ac1e/packages/next/src/server/lib/server-ipc/utils.ts";
    "x-nuxt-no-ssr", Routing, "Nuxt 3 (turns server rendering off) †", "https://nuxt.com/docs";
    "x-original-for", Address, "ASP.NET Core forwarded headers middleware moves the pre-proxy value here; apps read it as trusted", "https://github.com/dotnet/aspnetcore/blob/1078b68de49c06f8479351a55c0f1b07a8b5d4a7/src/Middleware/HttpOverrides/src/ForwardedHeadersDefaults.cs";
    "x-original-forwarded-for", Address, "apps behind ingress-nginx †", "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/configmap/";
    "x-original-host", Host, "Yii 2 (ngrok), ASP.NET Core, Azure Application Gateway back ends", "https://github.com/yiisoft/yii2/blob/0041f034fd55f95a65b49d97e6974522b9cf3049/framework/web/Request.php";
    "x-original-method", Method, "auth subrequest services behind nginx auth_request (ingress-nginx, Authelia, custom authorizers) †", "https://docs.nginx.com/nginx/admin-guide/security-controls/configuring-subrequest-authentication/";
    "x-original-port", Host, "ASP.NET Core forwarded headers middleware moves the pre-proxy value here; apps read it as trusted", "https://github.com/dotnet/aspnetcore/blob/1078b68de49c06f8479351a55c0f1b07a8b5d4a7/src/Middleware/HttpOverrides/src/ForwardedHeadersDefaults.cs";
    "x-original-prefix", Path, "ASP.NET Core forwarded headers middleware moves the pre-proxy value here; apps read it as trusted", "https://github.com/dotnet/aspnetcore/blob/1078b68de49c06f8479351a55c0f1b07a8b5d4a7/src/Middleware/HttpOverrides/src/ForwardedHeadersDefaults.cs";
    "x-original-proto", Host, "ASP.NET Core forwarded headers middleware moves the pre-proxy value here; apps read it as trusted", "https://github.com/dotnet/aspnetcore/blob/1078b68de49c06f8479351a55c0f1b07a8b5d4a7/src/Middleware/HttpOverrides/src/ForwardedHeadersDefaults.cs";
    "x-original-uri", Path, "auth subrequest services behind nginx auth_request (ingress-nginx, Lemonldap::NG, custom authorizers) †", "https://docs.nginx.com/nginx/admin-guide/security-controls/configuring-subrequest-authentication/";
    "x-original-url", Path, "Symfony before 4.1.3, Zend/Laminas HTTP, WordPress and other PHP written for IIS URL Rewrite; Authelia auth endpoint", "https://github.com/advisories/GHSA-8wgj-6wx8-h5hq";
    "x-override-method", Method, "vte.cx (reflexworks) servlet: POST becomes PUT, DELETE or GET †", "https://github.com/reflexworks/vtecxj-source";
    "x-path-info", Path, "Poodle WCMS (PHP): HTTP_X_PATH_INFO becomes PATH_INFO †", "https://github.com/the-djmaze/poodle-wcms";
    "x-pomerium-*", Identity, "apps behind Pomerium (X-Pomerium-Claim-*, X-Pomerium-Jwt-Assertion) †", "https://www.pomerium.com/docs";
    "x-proxied-https", Host, "Jetty ForwardedRequestCustomizer", "https://github.com/jetty/jetty.project/blob/02ec06ead9571809d689ec4f778798dd2ae59a05/jetty-server/src/main/java/org/eclipse/jetty/server/ForwardedRequestCustomizer.java";
    "x-proxiedentit*", Identity, "Apache NiFi (X-ProxiedEntitiesChain, X-ProxiedEntityGroups) †", "https://nifi.apache.org/";
    "x-proxy-ext-*", Identity, "OpenSearch Security extended proxy authentication †", "https://docs.opensearch.org/";
    "x-proxy-roles", Identity, "OpenSearch Security and Search Guard proxy authentication", "https://github.com/opensearch-project/security/blob/0071e3fd561a59d5d2302fdd6644f8ca50729a30/config/config.yml";
    "x-proxy-user", Identity, "OpenSearch Security and Search Guard proxy authentication", "https://github.com/opensearch-project/security/blob/0071e3fd561a59d5d2302fdd6644f8ca50729a30/config/config.yml";
    "x-proxycontextpath", Path, "Apache NiFi", "https://docs.cloudera.com/HDPDocuments/HDF3/HDF-3.2.0/nifi-configuration-best-practices/content/proxy_configuration.html";
    "x-proxyhost", Host, "Apache NiFi", "https://docs.cloudera.com/HDPDocuments/HDF3/HDF-3.2.0/nifi-configuration-best-practices/content/proxy_configuration.html";
    "x-proxyport", Host, "Apache NiFi", "https://docs.cloudera.com/HDPDocuments/HDF3/HDF-3.2.0/nifi-configuration-best-practices/content/proxy_configuration.html";
    "x-proxyscheme", Host, "Apache NiFi", "https://docs.cloudera.com/HDPDocuments/HDF3/HDF-3.2.0/nifi-configuration-best-practices/content/proxy_configuration.html";
    "x-proxyuser-ip", Address, "Yii 2 guide example of a trusted IP header; C# servers †", "https://www.yiiframework.com/doc/guide/2.0/en/runtime-requests";
    "x-react-router-*", Routing, "React Router 7 framework mode: X-React-Router-Prerender-Data, -SPA-Mode (CVE-2025-43865, -43864) †", "https://github.com/remix-run/react-router/security/advisories/GHSA-cpj6-fhp6-mr6j";
    "x-real-ip", Address, "gorilla, chi, Tornado, mod_wsgi, Echo, Gin, request-ip, ThinkPHP", "https://github.com/gorilla/handlers/blob/2ad33e7a2ec38c8b85f515e3e71cd36972862ee6/proxy_headers.go";
    "x-remote-*", Identity, "Kubernetes API server X-Remote-User, -Group, -Extra-*; Home Assistant add-ons X-Remote-User-Id; PHP reading HTTP_X_REMOTE_ADDR †", "https://kubernetes.io/docs/reference/access-authn-authz/authentication/";
    "x-replaced-path", Path, "Traefik (ReplacePath), and what stands behind it", "https://doc.traefik.io/traefik/middlewares/http/replacepath/";
    "x-request-base", Path, "Mojolicious/Catalyst apps (Convos, Hydra): base URL and mount point †", "https://metacpan.org/pod/Catalyst::TraitFor::Request::ProxyBase";
    "x-requested-method", Method, "Nuxeo AjaxProxyServlet: method of the proxied request †", "https://github.com/nuxeo/nuxeo";
    "x-rewrite-url", Path, "Symfony before 4.1.3, Zend HTTP, ThinkPHP, Yii 2, WordPress (IIS ISAPI_Rewrite)", "https://github.com/top-think/framework/blob/014025eaad06ad61fd6dab451f891ebbbc915a13/src/think/Request.php";
    "x-roles", Identity, "OpenStack services behind keystonemiddleware †", "https://docs.openstack.org/keystonemiddleware/latest/";
    "x-rstudio-*", Identity, "Posit Workbench / RStudio Server (X-RStudio-Admin-Username, -Admin-LoginAsUser, -Base-Address, -Virtual-Path, -Session-Original-Uri)", "https://docs.posit.co/ide/server-pro/reference/header_cookie_dictionary.html";
    "x-scheme", Host, "Tornado (xheaders), mod_wsgi, ingress-nginx back ends", "https://github.com/tornadoweb/tornado/blob/00229a21c2be8ff1743f0f1c68ec4686ca3fdc64/tornado/httpserver.py";
    "x-scope-orgid", Identity, "Grafana Mimir, Loki, Tempo, Cortex (tenant, set by the authenticating proxy)", "https://github.com/grafana/mimir/blob/03a992a58716b25c0bec899ef80275a139a52df5/docs/sources/mimir/manage/secure/authentication-and-authorization.md";
    "x-script-name", Path, "mod_wsgi (sets SCRIPT_NAME); Flask/WSGI ReverseProxied wrappers", "https://github.com/GrahamDumpleton/mod_wsgi/blob/2e4e11842c52d7253dd8cae3dcfca551369dc3e0/docs/configuration-directives/WSGITrustedProxyHeaders.rst";
    "x-sendfile-*", File, "Rack::Sendfile (X-Sendfile-Type), Plack XSendfile", "https://github.com/advisories/GHSA-R657-RXJC-J557";
    "x-spinnaker-*", Identity, "Spinnaker services (X-SPINNAKER-USER, -ACCOUNTS) †", "https://spinnaker.io/docs/";
    "x-ssl-client-*", Certificate, "Puppet (ssl_client_verify_header), apps behind HAProxy/nginx client certificates", "https://github.com/puppetlabs/puppetserver/blob/0469c41e0ec34519dbf2a8f617e0425b3b41e5d0/documentation/external_ssl_termination.markdown";
    "x-sucuri-clientip", Address, "apps and WordPress plugins behind Sucuri †", "https://docs.sucuri.net/";
    "x-token-subject", Identity, "apps behind Caddy authcrunch/caddy-security †", "https://docs.authcrunch.com/";
    "x-token-user-*", Identity, "apps behind Caddy authcrunch/caddy-security (X-Token-User-Name, -Email, -Roles) †", "https://docs.authcrunch.com/";
    "x-url-scheme", Host, "Echo (Go), Fiber (Go) †", "https://github.com/labstack/echo";
    "x-user", Identity, "back ends of Ory Oathkeeper (header mutator)", "https://github.com/ory/oathkeeper/blob/00470541fb3d5d2672ef068c9e02c20deaac3d0d/docs/docs/pipeline/mutator.md";
    "x-userinfo", Identity, "back ends of APISIX and Kong OIDC plugins", "https://github.com/apache/apisix/blob/007e6e9d01321d87a4ddcc6b76906cda2cb3a094/docs/en/latest/plugins/openid-connect.md";
    "x-vercel-forwarded-for", Address, "apps on Vercel †", "https://vercel.com/docs/headers/request-headers";
    "x-vhm-*", Path, "repoze.vhm for Zope/Plone: X-Vhm-Host sets scheme, host, port, SCRIPT_NAME; X-Vhm-Root sets the root", "https://github.com/repoze/repoze.vhm/blob/00876d0d987783eccfcff6324774ec953432e912/repoze/vhm/middleware.py";
    "x-vouch-*", Identity, "apps behind Vouch Proxy (X-Vouch-User, X-Vouch-IdP-Claims-*, X-Vouch-Token)", "https://github.com/vouch/vouch-proxy/blob/022e2bc914043d2e2a38aa7c597d1232a3a96c52/config/config.yml_example";
    "x-waws-unencoded-url", Path, "apps on Azure App Service (Express and others) that set originalUrl from it †", "https://learn.microsoft.com/en-us/azure/app-service/";
    "x-webauth-*", Identity, "Grafana auth proxy, Gitea, FreshRSS", "https://github.com/grafana/grafana/blob/048cc72d4c97c0b693aa510a2ae0e5232edaa386/docs/sources/setup-grafana/configure-security/configure-authentication/auth-proxy/index.md";
    "x-zitadel-forward-host", Host, "ZITADEL login proxy †", "https://zitadel.com/docs";
    "x-zitadel-instance-host", Host, "ZITADEL (selects the instance, the tenant) †", "https://zitadel.com/docs";
    "x-zitadel-public-host", Host, "ZITADEL (instance and public host) †", "https://zitadel.com/docs";
}
