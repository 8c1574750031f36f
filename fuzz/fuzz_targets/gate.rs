//! A whole request, from its head to the decision, with the record of a good key at hand.
//!
//! Lines: method, URL, client address, `Origin`, `Access-Control-Request-Method`, `Authorization`, `X-API-Key`.
//! `{key}` in a line stands for a good key.
#![no_main]

use std::sync::LazyLock;

use keygate_core::auth::admission::{Admission, Gate};
use keygate_core::auth::decide::{
    Authorization, Decision, Destination, LimiterAnswer, Lookup, Permit, QuotaAnswer, decide,
};
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::key::pepper::Pepper;
use keygate_core::key::{Key, KeyPrefix};
use keygate_core::policy::Policy;
use keygate_core::record::Record;
use keygate_core::request::head::RequestHead;
use keygate_core::time::UnixSeconds;
use keygate_fuzz::{PEPPER, PREFIX, form_decoded, percent_decoded, text};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "acme_live_4fTz0Qw9Lr2K7hVabcdefghijklmnopqrstuvwxyzqQOeuefdP";
const NOW: u64 = 1_800_000_000;

// Not a `static`: records are shared by `Rc`.
thread_local! {
    static GATE: LazyLock<Gate> = LazyLock::new(|| Gate {
        policy: Policy::from_json(
            r#"{
                "ORIGIN":"https://origin.example/base", "KEY_PREFIX":"acme_live", "ALLOW_HTTP":true,
                "CREDENTIALS":["bearer","basic","header:x-api-key","query:api_key"],
                "CORS_ORIGINS":["https://app.example"], "PREFLIGHT":"forward",
                "ROUTES":[
                    {"path":"/public/*","access":"public"}, {"path":"/closed/*","access":"deny"},
                    {"path":"/admin/*","scopes":["admin"]}, {"path":"/read/*","methods":["GET"]},
                    {"path":"/zone/*","origin":"zone"}, {"path":"/service/*","origin":"service:BACKEND"}]
            }"#,
        )
        .expect("it is a policy"),
        secrets: Secrets::parse(&SecretValues { pepper: Some(PEPPER), ..SecretValues::default() })
            .expect("it is a pepper"),
    });
    static RECORD: LazyLock<Record> = LazyLock::new(|| {
        let prefix = "acme_live".parse::<KeyPrefix>().expect("it is one");
        let key = Key::parse(KEY, &prefix).expect("it is one");
        let digest = PEPPER.parse::<Pepper>().expect("it is one").digest(&key);
        let json = format!(
            r#"{{"v":1,"id":"{}","subject":"acme","digest":"{digest}","state":"active","created":0}}"#,
            key.id()
        );
        Record::parse(&json).expect("it is a record")
    });
}

fuzz_target!(|data: &[u8]| {
    let input = text(data).replace("{key}", KEY);
    GATE.with(|gate| RECORD.with(|record| request(gate, record, &input)));
});

fn request(gate: &Gate, record: &Record, input: &str) {
    let mut lines = input.splitn(7, '\n');
    let method = lines.next().unwrap_or_default();
    let url = lines.next().unwrap_or_default();
    let names = ["cf-connecting-ip", "origin", "access-control-request-method", "authorization", "x-api-key"];
    let headers = names.map(|name| (name, lines.next().unwrap_or_default()));
    let head = RequestHead { method, url, header_names: "", headers: &headers };
    let admitted = match gate.admit(&head) {
        Err(denial) => {
            let answer = denial.answer(gate.policy.wording());
            assert!((400..600).contains(&answer.status) && !answer.body("r").contains(PREFIX));
            assert_eq!(
                answer.status == 401,
                answer.headers.iter().any(|(name, _)| *name == "www-authenticate")
            );
            return;
        }
        Ok(Admission::AnswerPreflight) => panic!("the policy leaves preflights to the origin"),
        Ok(Admission::Proceed(admitted)) => admitted,
    };
    let found = match admitted.key_id() {
        None => Lookup::NotNeeded,
        Some(id) if id == record.id => Lookup::Found(record),
        Some(_) => panic!("a forged tag"),
    };
    let now = UnixSeconds::new(NOW).expect("it is before the year 10000");
    let Ok(mut decision) = decide(gate, &admitted, found, now) else { return };
    let permit = loop {
        decision = match decision {
            Decision::Permit(permit) => break permit,
            Decision::Limited(limited) => {
                limited.settle(LimiterAnswer::Within).expect("it is within the limit")
            }
            Decision::Charged(charged) => {
                Decision::Permit(charged.settle(QuotaAnswer::Paid(None)).expect("it is paid"))
            }
        };
    };
    permitted(&permit, &head);
}

fn permitted(permit: &Permit<'_>, head: &RequestHead<'_>) {
    let url = match permit.destination() {
        Destination::Url(url) | Destination::Service { url, .. } => url,
    };
    let decoded = String::from_utf8_lossy(&percent_decoded(&url)).into_owned();
    let path = decoded.split('?').next().unwrap_or_default();
    if let Some(holder) = permit.holder() {
        assert_eq!((holder.id.as_str(), holder.subject), ("4fTz0Qw9Lr2K", "acme"));
        // By whole segments: `/closedness` is another path.
        let closed = path.strip_prefix("https://origin.example/base/closed");
        assert!(!closed.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "nobody may pass");
        assert!(!path.starts_with("https://origin.example/base/admin/"), "a scope is missing");
        assert!(permit.no_store());
        sent_the_key(head);
    } else {
        let is_preflight = head.method == "OPTIONS" && head.origin().is_some();
        assert!(path.starts_with("https://origin.example/base/public") || is_preflight, "{path}");
    }
    // The key is on its way nowhere.
    let (_, query) = url.split_once('?').unwrap_or_default();
    assert!(
        query.split('&').all(|pair| form_decoded(pair.split('=').next().unwrap_or_default()) != b"api_key")
    );
    if permit.authorization() == Authorization::Keep {
        assert!(!head.header("authorization").unwrap_or_default().contains(PREFIX));
    }
    if let Some(address) = permit.client_ip() {
        assert!(address.parse::<std::net::IpAddr>().is_ok());
    }
}

/// The whole key stood in one of the sources, in the clear or in a form that the source decodes.
fn sent_the_key(head: &RequestHead<'_>) {
    let query = head.url.split('#').next().and_then(|url| Some(url.split_once('?')?.1));
    let query = String::from_utf8_lossy(&form_decoded(query.unwrap_or_default())).into_owned();
    let authorization = head.header("authorization").unwrap_or_default();
    let is_basic = authorization.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("basic"));
    let texts = [head.header("x-api-key").unwrap_or_default(), authorization, &query];
    assert!(is_basic || texts.iter().any(|text| text.contains(KEY)), "nobody sent a key");
}
