// Request targets that servers, frameworks and proxies are known to read in different ways, as the client sends them: byte for byte.

/** Puts each of `pieces` into each of `templates`, in place of `{}`. */
const fill = (templates, pieces) => templates.flatMap((template) => pieces.map((piece) => template.replaceAll("{}", piece)));

/** What some readers take for `.` or `..`, or for nothing. */
const DOTS = [
  ".", "..", "...", "%2e", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "..;", "..;x=1", ".;", ";", ";x=1", "%2e%2e;x=1", "..%3b", "..%00",
  "..%20", "%20..",
  "..%09", "..%0a", "..%23", "..%3f", "..%2f", "..%5c", "..\\", "%252e%252e", "%u002e%u002e", "%c0%ae%c0%ae",
  "%ef%bc%8e%ef%bc%8e",
  "%e2%80%a5", "..%c2%a0", "*", "~", "-", "%20", "+",
];

/** What some readers take for `/`. */
const SLASHES = [
  "//", "///", "%2f", "%2F", "/%2f", "%2f/", "\\", "/\\", "%5c", "%5C", "/%5c", "%252f", "%255c", "%c0%af", "%e0%80%af",
  "%e2%88%95", "%e2%81%84",
  "%ef%bc%8f", "%ef%bc%bc", ";/", "/;/", "/;x=1/", "%3b/", ":/", "%00/", "%0a/", "%0d%0a/", "%09/", "%20/", "|", "%7c",
];

/** What some readers leave out at the end of a segment, or read as a format. */
const ENDINGS = [
  "/", ".", "..", "%2e", "%20", "+", "%00", "%00.html", "%09", "%0a", "%0d", "%0d%0a", "%1f", "%7f", "%a0", "%c2%a0", "%c2%85",
  "%e2%80%8b", "%ef%bb%bf", "%cc%81",
  "~", "~1", "::$DATA", ":", ";", ";x=1", ";.json", "%3b.json", ".json", ".json/", ".JSON", ".xml", ".html", ".txt", ".php",
  ".api", ".%6ason", "%2ejson",
  ".json.json", ".json%20", ".json;x=1", ".j", ".1", "/.json", ".json/users", "/index.html", "?", "?.json", "??", "?/public", "#",
  "#/public", "%23",
  "%3f", "%3f/public", "*", "!", "'", "@", "&", "=", ",", "$", "(", "%", "%2", "%zz", "%25", "%252e",
];

/** Request targets by what is odd about them; each is listed once. */
export const HOSTILE_PATHS = {
  "nothing": [
    "/", "/public", "/public/", "/public/page", "/public/admin", "/public/admin/users", "/public/closed/x", "/admin", "/admin/",
    "/admin/users", "/admin/users/7",
    "/closed", "/closed/", "/closed/x", "/closed/public", "/api", "/api/items/7", "/api/items/7/", "/api/items/admin",
    "/administrators", "/publicity",
    "/closed-x", "/v1/admin/users", "/index.php/admin/users",
  ],
  "dots": fill([
    "/public/{}/admin/users", "/admin/{}/public/page", "/{}/admin/users", "/public/{}", "/closed/{}/public/page", "/api/items/{}",
  ], DOTS),
  "dots, twice": fill(["/public/page/{}/{}/admin/users"], DOTS),
  "slashes": fill([
    "/public{}admin/users", "{}admin/users", "/admin{}users", "/public/page{}..{}..{}admin/users", "/closed{}public",
  ], SLASHES),
  "endings": fill(["/public{}", "/admin{}", "/closed{}", "/admin/users{}", "/api/items/7{}"], ENDINGS),
  "escapes of letters": [
    "/%61dmin/users", "/%61%64%6d%69%6e/users", "/adm%69n", "/%41dmin/users", "/%70ublic/page", "/clos%65d/x", "/public/%61dmin",
    "/%2561dmin/users",
    "/%25%36%31dmin/users", "/%u0061dmin/users", "/%U0061dmin/users", "/&#97;dmin/users", "/\\u0061dmin/users",
    "/%c1%a1dmin/users", "/%e0%81%a1dmin/users",
    "/%f0%80%81%a1dmin/users", "/%6/admin", "/%+1dmin/users", "/% 61dmin/users", "/%0061dmin/users", "/api/%69tems/7",
    "/api/items/%37",
  ],
  "case": [
    "/ADMIN/users", "/Admin", "/aDMIN/", "/admin/USERS", "/PUBLIC/page", "/Public", "/CLOSED/x", "/Closed", "/API/ITEMS/7",
    "/%41DMIN/users", "/adm%c4%b1n/users",
    "/ADM%C4%B0N/users", "/public/ADMIN", "/clo%c5%bfed/x", "/CLO%C5%BFED/x",
  ],
  "Unicode": [
    "/%ef%bd%81dmin/users", "/%ef%bd%81%ef%bd%84%ef%bd%8d%ef%bd%89%ef%bd%8e/users", "/%e1%b5%83dmin/users", "/%d0%b0dmin/users",
    "/public/caf%c3%a9", "/public/cafe%cc%81",
    "/admi%cc%81n/users", "/ad%c2%admin/users", "/%e2%80%aeadmin/users", "/%ef%bb%bfadmin/users", "/%f3%a0%80%a1admin/users",
    "/%ff/admin", "/admin/%80", "/public/%ed%a0%80",
    "/public/%f4%90%80%80", "/caf\xe9", "/public/\xc3\xa9", "/\xef\xbd\x81dmin/users",
  ],
  "queries and fragments": [
    "/public?/admin/users", "/public/page?x=/../admin/users", "/public/page?x=1#/admin", "/public?;/admin",
    "/public/page?format=json", "/admin?/public/page", "/admin/users?x=%00",
    "/?/admin/users", "/?admin", "/#/admin/users", "/public#", "/public/page#/../../admin/users", "/public%3f/../admin/users",
    "/public&/admin/users", "/public/page?_method=DELETE",
  ],
  "other forms of the target": [
    "http://evil.example/admin/users", "http://evil.example/public/page", "http://public/admin/users", "http://admin/public/page",
    "http://evil.example/public/../admin/users",
    "http://evil.example//admin/users", "http://evil.example", "http://evil.example?/admin/users",
    "https://evil.example/admin/users", "HTTP://evil.example/admin/users",
    "ftp://evil.example/admin/users", "http:/admin/users", "http:admin/users", "http:///admin/users",
    "//evil.example/admin/users", "//public/admin/users", "///admin/users",
    "/http://evil.example/admin/users", "/http:%2f%2fevil.example/admin", "/@evil.example/admin/users", "*", "admin/users",
    "?/admin/users", "#/admin/users", "evil.example:80",
    ".admin/users", "\\admin\\users", "/\\evil.example/admin", ":80/admin/users", "@evil.example/admin/users",
  ],
  "bytes that no target has": [
    "/admin\t/users", "/admin\0/users", "/public/\0/../admin", "/admin users", "/public/page admin", "/admin\x0busers",
    "/admin\x7f", "/public/\x85", "/admin\xa0", " /admin/users", "\t/admin/users",
    "/public/page\x01",
  ],
  "length": [`/public/${"a/".repeat(300)}../admin/users`, `/public/${"a".repeat(6000)}`, `/admin/${"%61".repeat(1500)}`,
  `/public${"/.".repeat(200)}/admin/users`],
};
