//! Writing and failing, with an SDK whose requests come here; the protocol itself, and other failures, are in the end-to-end tests.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, ClientOptions, HttpClient, Request, RetryOptions, Transport};
use azure_core::time::OffsetDateTime;

use super::{AzureSecret, host};
use crate::error::check;
use crate::network::Blocking;
use crate::secret_store::{SecretStore as _, StoredSecret};

const TOKEN: &str = "canary-token";
const ABSENT: &str = r#"{"error":{"code":"SecretNotFound","message":"not found"}}"#;

/// Gives answers in order, and keeps `METHOD /path body`.
#[derive(Debug, Default)]
struct Script {
    told: Mutex<VecDeque<Told>>,
    asked: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Told {
    Answer(u16, String),
    Error(io::Error),
}

#[async_trait]
impl HttpClient for Script {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else { panic!("a stream") };
        let body = String::from_utf8(body.to_vec()).unwrap();
        let asked = format!("{} {} {body}", request.method().as_str(), request.url().path());
        self.asked.lock().unwrap().push(asked);
        match self.told.lock().unwrap().pop_front().unwrap() {
            Told::Answer(status, body) => {
                let mut headers = Headers::new();
                if status == 401 {
                    headers.insert("www-authenticate", body.clone());
                }
                Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
            }
            Told::Error(e) => Err(azure_core::Error::new(ErrorKind::Io, e)),
        }
    }
}

#[derive(Debug)]
struct Credential;

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(Secret::new(TOKEN), OffsetDateTime::now_utc() + azure_core::time::Duration::HOUR))
    }
}

fn answer(status: u16, body: &str) -> Told {
    Told::Answer(status, body.to_owned())
}

fn challenge(resource: &str) -> Told {
    answer(401, &format!(r#"Bearer authorization="https://login.example.com/t", resource="{resource}""#))
}

fn scripted(told: Vec<Told>) -> (Arc<Script>, AzureSecret) {
    let script = Arc::new(Script { told: Mutex::new(told.into()), ..Script::default() });
    let options = ClientOptions {
        transport: Some(Transport::new(Arc::clone(&script) as Arc<dyn HttpClient>)),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let secret =
        AzureSecret::with("my-vault", "app-key", Blocking::new().unwrap(), options, Arc::new(Credential))
            .unwrap();
    (script, secret)
}

/// A vault that first asks for a token, and then answers as it is told to.
fn secret(told: Vec<Told>) -> (Arc<Script>, AzureSecret) {
    let told = [vec![challenge("https://vault.azure.net")], told].into_iter().flatten().collect();
    scripted(told)
}

fn version(version: &str, more: &str) -> Told {
    let id = format!("https://my-vault.vault.azure.net/secrets/app-key/{version}");
    answer(200, &format!(r#"{{"value":"held","id":"{id}"{more}}}"#))
}

fn seen(revision: Option<&str>) -> StoredSecret {
    StoredSecret { text: None, revision: revision.map(str::to_owned) }
}

#[test]
fn the_latest_version_is_read_and_named() {
    let (_, latest) = secret(vec![version("v1", "")]);
    let held = latest.read().unwrap();
    assert_eq!((held.text.unwrap().as_str(), held.revision.as_deref()), ("held", Some("v1")));
    let (_, absent) = secret(vec![answer(404, ABSENT)]);
    let held = absent.read().unwrap();
    assert!(held.text.is_none() && held.revision.is_none());
}

#[test]
fn a_new_version_keeps_the_type_and_the_tags() {
    let more = r#","contentType":"text/plain","tags":{"team":"billing"},"attributes":{"enabled":true}"#;
    let (script, secret) = secret(vec![version("v1", more), version("v2", "")]);
    secret.put("new", &seen(Some("v1"))).unwrap();
    let asked = script.asked.lock().unwrap().pop().unwrap();
    let (line, body) = asked.split_once(" {").unwrap();
    assert_eq!(line, "PUT /secrets/app-key");
    let body: serde_json::Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"value": "new", "contentType": "text/plain", "tags": {"team": "billing"}})
    );
}

#[test]
fn the_first_version_is_written_where_there_is_none() {
    let (script, secret) = secret(vec![answer(404, ABSENT), version("v1", "")]);
    secret.put("new", &seen(None)).unwrap();
    assert_eq!(script.asked.lock().unwrap().pop().unwrap(), r#"PUT /secrets/app-key {"value":"new"}"#);
}

#[test]
fn what_somebody_else_wrote_is_not_written_over() {
    for (told, revision) in
        [(version("v2", ""), Some("v1")), (version("v1", ""), None), (answer(404, ABSENT), Some("v1"))]
    {
        let (script, secret) = secret(vec![told]);
        let error = secret.put("s3cret", &seen(revision)).unwrap_err();
        check(&error, "somebody wrote it in between", "list-versions");
        assert_eq!(script.asked.lock().unwrap().len(), 2);
    }
}

#[test]
fn a_deleted_secret_stands_in_the_way() {
    const FORBIDDEN: &str = r#"{"error":{"code":"Forbidden","message":"no"}}"#;
    let (_, deleted) = secret(vec![answer(404, ABSENT), answer(200, "{}")]);
    check(
        &deleted.check_writable().unwrap_err(),
        "was deleted, and not purged yet",
        "az keyvault secret recover --vault-name my-vault --name app-key",
    );
    for told in [
        vec![version("v1", "")],
        vec![answer(404, ABSENT), answer(404, ABSENT)],
        vec![answer(404, ABSENT), answer(403, FORBIDDEN)],
    ] {
        secret(told).1.check_writable().unwrap();
    }
}

#[test]
fn every_failure_says_what_to_do() {
    let refused = |status, code: &str, inner: &str| {
        let inner =
            if inner.is_empty() { String::new() } else { format!(r#","innererror":{{"code":"{inner}"}}"#) };
        answer(status, &format!(r#"{{"error":{{"code":"{code}","message":"said"{inner}}}}}"#))
    };
    for (told, problem, remedy) in [
        (refused(401, "Unauthorized", ""), "Key Vault does not take the token", "AZURE_TENANT_ID"),
        (
            refused(403, "Forbidden", "AccessDenied"),
            "this identity may not do this",
            "the secret permission get",
        ),
        (answer(404, "<html>"), "it is not there", "check the vault's name"),
        (refused(429, "Throttled", ""), "too many", "wait"),
        (
            refused(400, "BadParameter", ""),
            "Key Vault refused the request (status 400, BadParameter, said)",
            "see what it said",
        ),
        (answer(200, r#"{"value":"s3cret"}"#), "is not one of Key Vault", "check the vault's name"),
        (Told::Error(io::Error::other("operation timed out")), "did not answer in time", "check the network"),
    ] {
        check(&secret(vec![told]).1.read().err().unwrap(), problem, remedy);
    }
    let conflict = r#"{"error":{"code":"Conflict","innererror":{"code":"ObjectIsDeletedButRecoverable"}}}"#;
    let (_, written) = secret(vec![answer(404, ABSENT), answer(409, conflict)]);
    check(&written.put("s3cret", &seen(None)).unwrap_err(), "was deleted, and not purged yet", "recover");
    let (_, forbidden) = secret(vec![version("v1", ""), refused(403, "Forbidden", "ForbiddenByRbac")]);
    check(
        &forbidden.put("s3cret", &seen(Some("v1"))).unwrap_err(),
        "may not do this",
        "Key Vault Secrets Officer",
    );
}

#[test]
fn a_token_is_not_sent_to_what_asks_for_one_of_another_service() {
    let (script, other) = scripted(vec![challenge("https://management.azure.com")]);
    check(&other.read().err().unwrap(), "asks for a token that is not for Key Vault", "no token was sent");
    assert_eq!(script.asked.lock().unwrap().len(), 1);
}

#[test]
fn a_vault_is_named_by_its_name_or_by_its_whole_host() {
    assert_eq!(host("my-vault").unwrap(), "my-vault.vault.azure.net");
    assert_eq!(host("my-vault.vault.azure.cn").unwrap(), "my-vault.vault.azure.cn");
    for bad in ["", "a_b", "v@evil.example", "v.", "v:1", "v?x", "é"] {
        assert!(host(bad).unwrap_err().is_usage(), "{bad}");
    }
    for bad in ["a_b", "name?x=", &"a".repeat(128)] {
        let made = AzureSecret::with(
            "v",
            bad,
            Blocking::new().unwrap(),
            ClientOptions::default(),
            Arc::new(Credential),
        );
        assert!(made.err().unwrap().is_usage(), "{bad}");
    }
}
