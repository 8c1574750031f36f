//! Reading, writing and failing, against a server that answers as OpenBao was seen to; what OpenBao itself shows is in the
//! end-to-end tests.

use std::time::Duration;

use zeroize::Zeroizing;

use super::VaultField;
use super::client::Client;
use super::settings::{Identity, Settings};
use crate::error::{Result, check};
use crate::secret_store::{SecretStore as _, StoredSecret};
use crate::stores::stand_in::{StandIn, Told, answer};

const TOKEN: &str = "s.canary-token";
const MOUNT: &str = r#"{"data":{"path":"team/kv/","type":"kv","options":{"version":"2"}}}"#;
const DENIED: &str = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;

fn latest(version: u64, data: &str) -> Told {
    answer(
        200,
        &format!(r#"{{"data":{{"data":{data},"metadata":{{"version":{version},"destroyed":false}}}}}}"#),
    )
}

fn settings(url: &str) -> Settings {
    Settings {
        address: url.parse().unwrap(),
        named_by: "VAULT_ADDR".to_owned(),
        namespace: Some("ns1".to_owned()),
        ca_certificates: None,
        timeout: Duration::from_millis(300),
        identity: Identity::Token {
            token: Zeroizing::new(TOKEN.to_owned()),
            source: "VAULT_TOKEN".to_owned(),
        },
    }
}

/// The field of a server that first says where the engine is, and then what it is told to.
fn field(told: Vec<Told>) -> (StandIn, Result<VaultField>) {
    let server = StandIn::telling(told);
    let field = VaultField::at(Client::new(settings(&server.url)).unwrap(), "team", "kv/app x", "key");
    (server, field)
}

fn opened(told: Vec<Told>) -> (StandIn, VaultField) {
    let (server, field) = field([vec![answer(200, MOUNT)], told].into_iter().flatten().collect());
    (server, field.unwrap())
}

fn seen(revision: &str) -> StoredSecret {
    StoredSecret { text: None, revision: Some(revision.to_owned()) }
}

#[test]
fn the_mount_may_have_several_segments_and_names_are_encoded() {
    let (server, field) = opened(vec![latest(3, r#"{"key":"held","other":1}"#)]);
    let held = field.read().unwrap();
    assert_eq!(held.text.unwrap().as_str(), "held");
    assert_eq!(held.revision.as_deref(), Some("3"));
    let requests = server.requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines, ["GET /v1/sys/internal/ui/mounts/team/kv/app%20x", "GET /v1/team/kv/data/app%20x"]);
    for header in
        [format!("x-vault-token: {TOKEN}"), "x-vault-namespace: ns1".into(), "x-vault-request: true".into()]
    {
        assert!(requests[1].headers.contains(&header), "{header}: {:?}", requests[1].headers);
    }
}

#[test]
fn what_is_not_there_is_no_error_and_has_the_version_to_be_written_over() {
    const DELETED: &str = r#"{"data":{"data":null,"metadata":{"version":4,"deletion_time":"2026-11-01T00:00:00Z","destroyed":false}}}"#;
    for (told, version) in [
        (answer(404, r#"{"errors":[]}"#), "0"),
        (answer(404, DELETED), "4"),
        (answer(200, DELETED), "4"),
        (latest(2, r#"{"other":"x"}"#), "2"),
    ] {
        let held = opened(vec![told]).1.read().unwrap();
        assert!(held.text.is_none());
        assert_eq!(held.revision.as_deref(), Some(version));
    }
}

#[test]
fn one_field_is_written_by_check_and_set_and_the_others_stay_as_they_were() {
    let data = r#"{"a\"b":"x\u0001","big":12345678901234567890123,"key":"old","nested":{"z":[1.50]}}"#;
    let (server, field) = opened(vec![latest(7, data), answer(200, r#"{"data":{}}"#)]);
    field.put("new \"text\"", &seen("7")).unwrap();
    let request = server.requests().pop().unwrap();
    assert_eq!(request.line, "POST /v1/team/kv/data/app%20x");
    let expected = data.replace(r#""old""#, r#""new \"text\"""#);
    assert_eq!(request.body, format!(r#"{{"options":{{"cas":7}},"data":{expected}}}"#));
}

#[test]
fn the_first_version_is_written_where_there_is_none() {
    let (server, field) = opened(vec![answer(404, r#"{"errors":[]}"#), answer(200, r#"{"data":{}}"#)]);
    field.put("text", &seen("0")).unwrap();
    assert_eq!(server.requests().pop().unwrap().body, r#"{"options":{"cas":0},"data":{"key":"text"}}"#);
}

#[test]
fn what_somebody_else_wrote_is_not_written_over() {
    let (server, field) = opened(vec![latest(8, "{}")]);
    let error = field.put("s3cret", &seen("7")).unwrap_err();
    check(&error, "somebody wrote the secret in between", "run the command again");
    assert_eq!(server.requests().len(), 2);

    let mismatch = r#"{"errors":["check-and-set parameter did not match the current version"]}"#;
    let (_, field) = opened(vec![latest(7, "{}"), answer(400, mismatch)]);
    let error = field.put("s3cret", &seen("7")).unwrap_err();
    assert!(error.problem().contains("somebody wrote the secret in between"), "{error:?}");
}

#[test]
fn writing_needs_create_where_nothing_is_and_update_where_something_is() {
    let capabilities = |list: &str| answer(200, &format!(r#"{{"data":{{"capabilities":[{list}]}}}}"#));
    let nothing = || answer(404, r#"{"errors":[]}"#);
    for (latest, list, may) in [
        (nothing(), r#""create","read""#, true),
        (nothing(), r#""read","update""#, false),
        (latest(1, "{}"), r#""read","update""#, true),
        (latest(1, "{}"), r#""create""#, false),
        (latest(1, "{}"), r#""root""#, true),
        (latest(1, "{}"), r#""deny""#, false),
    ] {
        let (_, field) = opened(vec![latest, capabilities(list)]);
        let checked = field.check_writable();
        assert_eq!(checked.is_ok(), may, "{list}");
        if let Err(error) = checked {
            assert!(error.remedy().contains(r#"path "team/kv/data/app x""#), "{error:?}");
        }
    }
}

#[test]
fn a_standby_sends_on_to_the_active_node_once() {
    let active = StandIn::telling(vec![latest(1, r#"{"key":"held"}"#)]);
    let location: &'static str = format!("Location: {}/v1/team/kv/data/app%20x", active.url).leak();
    let (_, field) = opened(vec![Told::Answer(307, location, String::new())]);
    assert_eq!(field.read().unwrap().text.unwrap().as_str(), "held");
    assert!(active.requests()[0].headers.contains(&format!("x-vault-token: {TOKEN}")));

    let (_, field) = opened(vec![Told::Answer(307, "Location: http://vault.example.com/", String::new())]);
    let error = field.read().err().unwrap();
    assert!(error.problem().contains("an address that a token may not go to"), "{error:?}");
}

#[test]
fn every_failure_of_a_write_says_what_to_do() {
    for (told, problem, remedy) in [
        (
            vec![answer(404, r#"{"errors":[]}"#)],
            "there is no KV version 2 engine at team/kv/",
            "vault secrets list",
        ),
        (vec![answer(429, "")], "too many", "wait"),
        (vec![answer(500, "<html>")], "it fails (status 500)", "see its log"),
        (vec![answer(418, "{}")], "it refused the request", "check VAULT_ADDR"),
        (vec![Told::Silence], "did not answer in time", "may have been made"),
        (vec![Told::Hangup], "cannot be reached", "check the network"),
    ] {
        let told = [vec![latest(1, r#"{"other":"s3cret"}"#)], told].into_iter().flatten().collect();
        let error = opened(told).1.put("s3cret", &seen("1")).unwrap_err();
        check(&error, problem, remedy);
    }
}

#[test]
fn every_answer_that_is_none_of_vaults_is_refused() {
    for (told, problem, remedy) in [
        (answer(200, "<html>s3cret"), "the answer is not one of Vault's", "check VAULT_ADDR and HTTPS_PROXY"),
        (answer(200, r#"{"data":{"s3cret":1}}"#), "the answer is not one of Vault's", "check VAULT_ADDR"),
    ] {
        check(&opened(vec![told]).1.read().err().unwrap(), problem, remedy);
    }
}

#[test]
fn an_engine_that_names_no_version_is_not_written_to() {
    let mount = r#"{"data":{"path":"team/","type":"kv","options":null}}"#;
    let error = field(vec![answer(200, mount)]).1.err().unwrap();
    check(&error, "an engine of type kv,", "vault secrets list -detailed");
}

#[test]
fn a_server_that_does_not_say_where_the_engine_is_is_taken_at_the_uris_word() {
    let (_, field) = field(vec![answer(403, DENIED), latest(1, r#"{"key":"held"}"#)]);
    assert_eq!(field.unwrap().mount, "team");
}
