use alloc::vec;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::{
    Answer, Delivery, Findings, KeyFacts, Message, Settings, SettingsError, Step, Variables, Warning,
    WebhookSecret, WebhookSecretError,
};
use crate::key::KeyId;
use crate::record::State;
use crate::time::UnixSeconds;
use crate::usage::{Anomaly, AnomalyReport, Day, Hour, LastUseTimes, LastUsesReport, Signal};

/// 2026-11-28T07:00:00Z
const NOW: u64 = 1_795_849_200;
const DAY: u64 = 86_400;
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

fn variables() -> Variables<'static> {
    Variables {
        webhook_url: Some("https://hooks.example.com/k"),
        webhook_secret: Some(SECRET),
        ..Variables::default()
    }
}

fn key(not_after: Option<u64>) -> KeyFacts {
    let facts = json!({
        "subject": "acme", "name": "Acme", "state": "active", "created": NOW - 100 * DAY, "not_after": not_after,
    });
    serde_json::from_value(facts).unwrap()
}

fn id(number: usize) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

fn warning(findings: Findings) -> Option<Warning> {
    findings.warning(None, AnomalyReport::default(), Hour::of(at(NOW)).day())
}

#[test]
fn signature_is_that_of_the_specification() {
    let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
    let headers =
        secret.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#, at(1_614_265_330));
    assert_eq!(
        headers.map(|(name, value)| format!("{name}: {value}")),
        [
            "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp: 1614265330",
            "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ]
    );
}

#[test]
fn two_secrets_sign_both() {
    let one = |text: &str| {
        let [.., (_, signature)] = text.parse::<WebhookSecret>().unwrap().headers("a", "b", at(1));
        signature
    };
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(one(&format!("{SECRET}\n{other}")), format!("{} {}", one(SECRET), one(other)));
}

#[test]
fn secret_is_one_or_two_of_whsec_and_base64() {
    for (text, error) in [
        ("", WebhookSecretError::Count),
        (" ", WebhookSecretError::Count),
        (&[SECRET; 3].join(" "), WebhookSecretError::Count),
        ("C2FVsBQIhrscChlQIMV+b5sSYspob7oD", WebhookSecretError::Form),
        ("whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD", WebhookSecretError::Form),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o", WebhookSecretError::Form),
        ("whsec_", WebhookSecretError::Length),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o=", WebhookSecretError::Length),
        (&format!("whsec_{}", "A".repeat(88)), WebhookSecretError::Length),
    ] {
        assert_eq!(text.parse::<WebhookSecret>().map(|_| ()), Err(error), "{text}");
    }
    assert_eq!(format!("{:?}", SECRET.parse::<WebhookSecret>().unwrap()), "WebhookSecret(..)");
}

#[test]
fn url_is_https_or_of_this_machine() {
    for (url, allow_http, is_taken) in [
        ("https://hooks.example.com/a/b?c=d&e", false, true),
        ("https://hooks.example.com", false, true),
        ("https://203.0.113.7:8443/x", false, true),
        ("http://127.0.0.1:9/x", true, true),
        ("http://localhost:9/x", true, true),
        ("http://[::1]:9/x", true, true),
        ("http://127.0.0.1:9/x", false, false),
        ("http://hooks.example.com/x", true, false),
        ("https://user:secret@hooks.example.com/x", false, false),
        ("https://hooks.example.com/x#y", false, false),
        ("https://hooks.example.com/x y", false, false),
        ("https://hooks.example.com\\@evil.example/", false, false),
        ("https://", false, false),
        ("hooks.example.com", false, false),
        ("ftp://hooks.example.com", true, false),
        ("HTTPS://hooks.example.com", true, false),
    ] {
        let settings = Settings::parse(&Variables { webhook_url: Some(url), allow_http, ..variables() });
        match settings {
            Ok(Some(settings)) => {
                assert!(is_taken, "{url}");
                assert_eq!(settings.url.as_str(), url);
                assert!(!format!("{settings:?}").contains("://"));
            }
            other => assert_eq!((is_taken, other.map(|_| ())), (false, Err(SettingsError::Url)), "{url}"),
        }
    }
}

#[test]
fn variables_that_are_no_days_or_names_are_refused_and_empty_ones_are_not_set() {
    let parse = |change: fn(&mut Variables<'_>)| {
        let mut values = variables();
        change(&mut values);
        Settings::parse(&values).map(|settings| settings.map(|of| (of.expiry_days, of.unused_days, of.gate)))
    };
    for (values, expected) in [
        (parse(|_| ()), Ok(Some((14, 0, None)))),
        (parse(|v| v.webhook_url = None), Ok(None)),
        (parse(|v| v.webhook_url = Some("")), Ok(None)),
        (parse(|v| v.webhook_secret = None), Err(SettingsError::SecretMissing)),
        (parse(|v| v.webhook_secret = Some("x")), Err(SettingsError::Secret(WebhookSecretError::Form))),
        (parse(|v| v.expiry_warning_days = Some("0")), Ok(Some((0, 0, None)))),
        (parse(|v| v.expiry_warning_days = Some("366")), Err(SettingsError::Days("EXPIRY_WARNING_DAYS"))),
        (parse(|v| v.expiry_warning_days = Some("")), Ok(Some((14, 0, None)))),
        (parse(|v| v.unused_warning_days = Some("90")), Ok(Some((14, 90, None)))),
        (parse(|v| v.unused_warning_days = Some("-1")), Err(SettingsError::Days("UNUSED_WARNING_DAYS"))),
        (parse(|v| v.gate_name = Some("production")), Ok(Some((14, 0, Some("production".into()))))),
        (parse(|v| v.gate_name = Some("a\nb")), Err(SettingsError::GateName)),
    ] {
        assert_eq!(values, expected);
    }
}

#[test]
fn keys_that_expire_within_the_days_are_told() {
    let settings = Settings::parse(&variables()).unwrap().unwrap();
    for (not_after, state, is_told) in [
        (Some(NOW + 1), State::Active, true),
        (Some(NOW + 14 * DAY - 1), State::Active, true),
        (Some(NOW + 14 * DAY), State::Active, false),
        (Some(NOW), State::Active, false),
        (None, State::Active, false),
        (Some(NOW + DAY), State::Disabled, false),
        (Some(NOW + DAY), State::Revoked, false),
    ] {
        let mut findings = Findings::new(&settings, LastUsesReport::default(), at(NOW));
        findings.add(id(1), KeyFacts { state, ..key(not_after) });
        assert_eq!(warning(findings).is_some(), is_told, "{not_after:?} {state:?}");
    }
}

#[test]
fn keys_that_were_not_used_for_the_days_are_told() {
    let unused = Variables { unused_warning_days: Some("30"), ..variables() };
    for (values, since, created, accepted, is_told) in [
        (unused, Some(100), Some(100), Some(31), true),
        (unused, Some(100), Some(100), Some(30), true),
        (unused, Some(100), Some(100), Some(29), false),
        // Never used: it is old enough, and so are the counts.
        (unused, Some(100), Some(100), None, true),
        (unused, Some(100), Some(29), None, false),
        (unused, Some(29), Some(100), None, false),
        (unused, None, Some(100), None, false),
        (unused, Some(100), None, None, true),
        (unused, Some(29), None, None, false),
        (variables(), Some(100), Some(100), Some(31), false),
    ] {
        let settings = Settings::parse(&values).unwrap().unwrap();
        let ago = |days: u64| at(NOW - days * DAY);
        let times = LastUseTimes { accepted: accepted.map(ago), refused: Some(at(NOW)) };
        let keys = accepted.map(|_| (id(1), times)).into_iter().collect();
        let usage = LastUsesReport { since: since.map(ago), keys };
        let mut findings = Findings::new(&settings, usage, at(NOW));
        findings.add(id(1), KeyFacts { created: created.map(ago), ..key(None) });
        let found: Vec<_> = warning(findings).into_iter().flat_map(|told| told.unused).collect();
        let expected = if is_told { vec![accepted.map(ago)] } else { vec![] };
        assert_eq!(
            found.iter().map(|key| key.last_used).collect::<Vec<_>>(),
            expected,
            "{since:?} {created:?}"
        );
    }
}

#[test]
fn body_tells_a_hundred_of_each_kind_and_counts_the_others() {
    let values = Variables { unused_warning_days: Some("30"), gate_name: Some("production"), ..variables() };
    let settings = Settings::parse(&values).unwrap().unwrap();
    let usage = LastUsesReport { since: Some(at(NOW - 50 * DAY)), ..LastUsesReport::default() };
    let mut findings = Findings::new(&settings, usage, at(NOW));
    for number in (0..150).rev() {
        findings.add(id(number), key(Some(NOW + 1 + number as u64)));
    }
    findings.add_unread();
    let signal =
        |number| Signal { id: id(number), anomaly: Anomaly::Volume { requests: 9, most_before: 1, days: 8 } };
    let anomalies = AnomalyReport { signals: (0..120).map(signal).collect(), more: 3 };
    let told = findings.warning(settings.gate, anomalies, Hour::of(at(NOW)).day()).unwrap();
    assert_eq!([told.expiring.len(), told.unused.len(), told.anomalies.len()], [100; 3]);
    let json = serde_json::to_value(&told).unwrap();
    let expiring = json!({ "id": "000000000000", "subject": "acme", "name": "Acme", "expires": NOW + 1 });
    assert_eq!(json["expiring"][0], expiring);
    let unused = json!({ "id": "000000000000", "subject": "acme", "name": "Acme", "last_used": null });
    assert_eq!(json["unused"][0], unused);
    assert_eq!(json["more"], json!({ "expiring": 50, "unused": 50, "anomalies": 23, "unread": 1 }));
    let head = [&json["type"], &json["day"], &json["gate"]];
    assert_eq!(head, ["keygate.warnings", "2026-11-28", "production"]);
    assert!(json.to_string().len() < 270_000);
}

#[test]
fn keys_that_cannot_be_read_are_told_even_if_there_is_nothing_else() {
    let settings = Settings::parse(&variables()).unwrap().unwrap();
    for unread in [0, 3] {
        let mut findings = Findings::new(&settings, LastUsesReport::default(), at(NOW));
        (0..unread).for_each(|_| findings.add_unread());
        let told = warning(findings).map(|told| told.more.unread);
        assert_eq!(told, (unread > 0).then_some(unread));
    }
}

fn message() -> Message {
    Message { id: "msg_1".into(), body: "{}".into() }
}

#[test]
fn only_what_may_be_taken_later_is_sent_again() {
    for (answer, is_repeated) in [
        (Answer::Status(200), false),
        (Answer::Status(204), false),
        (Answer::Status(301), false),
        (Answer::Status(400), false),
        (Answer::Status(404), false),
        (Answer::Status(408), true),
        (Answer::Status(410), false),
        (Answer::Status(429), true),
        (Answer::Status(500), true),
        (Answer::Status(503), true),
        (Answer::Failed, true),
    ] {
        let mut delivery = Delivery::today(None, at(NOW));
        delivery.compose(Some(message()));
        delivery.answered(answer);
        let expected = if is_repeated { Step::Send(&message()) } else { Step::Nothing };
        assert_eq!(delivery.step(), expected, "{answer:?}");
        // So it is when it is called again on this day, and on the next one it is new.
        assert_eq!(Delivery::today(Some(delivery.clone()), at(NOW + 16 * 3600)), delivery);
        assert_eq!(Delivery::today(Some(delivery.clone()), at(NOW + 17 * 3600)).step(), Step::Compose);
        assert_eq!(Delivery::again(Some(delivery), at(NOW + 17 * 3600)), None);
    }
}

#[test]
fn attempts_are_further_and_further_apart_and_end_with_the_day() {
    for (start, expected) in [
        (NOW, &[15, 75, 675, 4275, 18_675, 47_475][..]),
        // Half an hour before midnight.
        (NOW + 16 * 3600 + 1800, &[15, 75, 675][..]),
    ] {
        let mut delivery = Delivery::today(None, at(start));
        let (mut now, mut attempts) = (at(start), Vec::new());
        while let Some(next) = delivery.begin(now) {
            attempts.push(next.seconds() - start);
            now = next;
        }
        assert_eq!(attempts, expected);
    }
}

proptest! {
    #[test]
    fn one_day_sees_one_message_and_nothing_after_a_success(
        runs in proptest::collection::vec((0..4 * 3600u64, 0..6u8, any::<bool>()), 1..40), is_quiet in any::<bool>(),
    ) {
        let (mut stored, mut now) = (None::<String>, NOW);
        let mut sent: Vec<(Day, Message, bool)> = Vec::new();
        for (number, (wait, answer, is_alarm)) in runs.into_iter().enumerate() {
            now += wait;
            let before = stored.as_deref().map(|json| serde_json::from_str(json).unwrap());
            let delivery = if is_alarm { Delivery::again(before, at(now)) } else { Some(Delivery::today(before, at(now))) };
            let Some(mut delivery) = delivery else { continue };
            if delivery.step() == Step::Compose && answer != 0 {
                delivery.begin(at(now));
                delivery.compose((!is_quiet).then(|| Message { id: format!("msg_{number}"), body: "{}".into() }));
            }
            if let Step::Send(message) = delivery.step() {
                sent.push((delivery.day(), message.clone(), answer == 1));
                delivery.answered(if answer == 1 { Answer::Status(204) } else { Answer::Status(500) });
            }
            stored = Some(serde_json::to_string(&delivery).unwrap());
        }
        prop_assert!(!is_quiet || sent.is_empty());
        for pair in sent.windows(2) {
            if pair[0].0 == pair[1].0 {
                prop_assert_eq!(&pair[0].1, &pair[1].1);
                prop_assert!(!pair[0].2, "sent again after a success");
            } else {
                prop_assert!(pair[0].1.id != pair[1].1.id);
            }
        }
    }
}
