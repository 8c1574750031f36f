//! Writing and failing, against a server that answers as AWS documents it; what moto shows is in the end-to-end tests.

use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::config::loader;
use super::{AwsSecret, region_of};
use crate::error::check;
use crate::network::Blocking;
use crate::secret_store::{SecretStore as _, StoredSecret};
use crate::stores::stand_in::{Request, StandIn, Told, answer};

const REGION: &str = "eu-central-1";
const DESCRIBE: &str = "secretsmanager.DescribeSecret";
const GET: &str = "secretsmanager.GetSecretValue";
const PUT: &str = "secretsmanager.PutSecretValue";
const MOVE: &str = "secretsmanager.UpdateSecretVersionStage";

fn secret(told: Vec<Told>) -> (StandIn, AwsSecret) {
    let server = StandIn::telling(told);
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "canary-secret-key", None, None, "tests");
    let loader = loader(Duration::from_secs(2))
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&server.url);
    let blocking = Blocking::new().unwrap();
    let config = blocking.run(loader.load());
    let secret = AwsSecret::with("prod/key", blocking, config).unwrap();
    (server, secret)
}

fn labels(stages: &str) -> Told {
    answer(200, &format!(r#"{{"Name":"prod/key","VersionIdsToStages":{stages}}}"#))
}

fn refused(code: &str) -> Told {
    refused_as(400, code, "said")
}

fn refused_as(status: u16, code: &str, message: &str) -> Told {
    answer(status, &format!(r#"{{"__type":"{code}","Message":"{message}"}}"#))
}

fn seen(revision: Option<&str>) -> StoredSecret {
    StoredSecret { text: None, revision: revision.map(str::to_owned) }
}

/// The operations that were asked for, in order.
fn operations(server: &StandIn) -> Vec<(String, serde_json::Value)> {
    let operation = |request: &Request| {
        assert_eq!(request.line, "POST /");
        let target = request.headers.iter().find_map(|header| header.strip_prefix("x-amz-target: "));
        (target.unwrap().to_owned(), serde_json::from_str(&request.body).unwrap())
    };
    server.requests().iter().map(operation).collect()
}

fn named(operations: &[(String, serde_json::Value)]) -> Vec<&str> {
    operations.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_current_version_is_read_by_its_label() {
    let (server, secret) = secret(vec![answer(200, r#"{"SecretString":"held","VersionId":"v1"}"#)]);
    let held = secret.read().unwrap();
    assert_eq!((held.text.unwrap().as_str(), held.revision.as_deref()), ("held", Some("v1")));
    let asked = operations(&server);
    assert_eq!(named(&asked), [GET]);
    assert_eq!(asked[0].1["VersionStage"], "AWSCURRENT");
}

#[test]
fn a_secret_without_a_current_version_holds_nothing() {
    let (_, secret) = secret(vec![refused("ResourceNotFoundException"), labels("{}")]);
    let held = secret.read().unwrap();
    assert!(held.text.is_none() && held.revision.is_none());
}

#[test]
fn the_label_is_moved_from_the_version_that_was_seen() {
    let (server, secret) = secret(vec![
        labels(r#"{"v1":["AWSCURRENT","AWSPENDING"],"v0":["AWSPREVIOUS"]}"#),
        answer(200, r#"{"VersionStages":["AWSPENDING"]}"#),
        answer(200, "{}"),
    ]);
    secret.put("text", &seen(Some("v1"))).unwrap();
    let asked = operations(&server);
    assert_eq!(named(&asked), [DESCRIBE, PUT, MOVE]);
    let version = asked[1].1["ClientRequestToken"].as_str().unwrap();
    assert_eq!(version.len(), 32);
    assert_eq!(asked[1].1["VersionStages"], serde_json::json!(["AWSPENDING"]));
    assert_eq!(
        asked[2].1,
        serde_json::json!({"SecretId": "prod/key", "VersionStage": "AWSCURRENT", "MoveToVersionId": version, "RemoveFromVersionId": "v1"})
    );
}

#[test]
fn the_first_version_is_current_at_once() {
    let (server, secret) =
        secret(vec![labels("{}"), answer(200, r#"{"VersionStages":["AWSCURRENT","AWSPENDING"]}"#)]);
    secret.put("text", &seen(None)).unwrap();
    assert_eq!(named(&operations(&server)), [DESCRIBE, PUT]);
}

#[test]
fn what_somebody_else_made_current_stays_and_nothing_is_left_pending() {
    let (server, current) = secret(vec![labels(r#"{"v2":["AWSCURRENT"]}"#)]);
    let error = current.put("s3cret", &seen(Some("v1"))).unwrap_err();
    check(&error, "somebody made another version current", "list-secret-version-ids --secret-id prod/key");
    assert_eq!(named(&operations(&server)), [DESCRIBE]);

    let (server, moved) = secret(vec![
        labels(r#"{"v1":["AWSCURRENT"]}"#),
        answer(200, r#"{"VersionStages":["AWSPENDING"]}"#),
        refused("InvalidParameterException"),
        labels(r#"{"v2":["AWSCURRENT"]}"#),
        answer(200, "{}"),
    ]);
    let error = moved.put("s3cret", &seen(Some("v1"))).unwrap_err();
    check(&error, "somebody made another version current", "run the command again");
    let asked = operations(&server);
    assert_eq!(named(&asked), [DESCRIBE, PUT, MOVE, DESCRIBE, MOVE]);
    assert_eq!(asked[4].1["VersionStage"], "AWSPENDING");
    assert_eq!(asked[4].1["RemoveFromVersionId"], asked[1].1["ClientRequestToken"]);
}

#[test]
fn what_an_earlier_attempt_left_half_way_is_completed() {
    let pending = || labels(r#"{"v1":["AWSCURRENT"],"v2":["AWSPENDING"]}"#);
    let (server, own) = secret(vec![
        pending(),
        answer(200, r#"{"SecretString":"text","VersionId":"v2"}"#),
        answer(200, "{}"),
    ]);
    own.put("text", &seen(Some("v1"))).unwrap();
    let asked = operations(&server);
    assert_eq!(named(&asked), [DESCRIBE, GET, MOVE]);
    assert_eq!(asked[2].1["MoveToVersionId"], "v2");

    let (server, other) =
        secret(vec![pending(), answer(200, r#"{"SecretString":"other","VersionId":"v2"}"#)]);
    let error = other.put("s3cret", &seen(Some("v1"))).unwrap_err();
    check(&error, "a rotation of it has not ended: version v2", "--remove-from-version-id v2");
    assert_eq!(named(&operations(&server)), [DESCRIBE, GET]);
}

#[test]
fn what_an_earlier_delivery_left_with_another_key_is_superseded() {
    let left = r#"{"v1":["AWSCURRENT"],"6b6579670a0b":["AWSPENDING"]}"#;
    let (server, own) = secret(vec![
        labels(left),
        answer(200, r#"{"SecretString":"other","VersionId":"6b6579670a0b"}"#),
        answer(200, r#"{"VersionStages":["AWSPENDING"]}"#),
        answer(200, "{}"),
    ]);
    own.put("text", &seen(Some("v1"))).unwrap();
    let asked = operations(&server);
    assert_eq!(named(&asked), [DESCRIBE, GET, PUT, MOVE]);
    let version = asked[3].1["MoveToVersionId"].as_str().unwrap();
    assert!(version.starts_with("6b657967") && version.len() == 32, "{version}");
    assert_eq!(asked[3].1["RemoveFromVersionId"], "v1");
    secret(vec![labels(left)]).1.check_writable().unwrap();
}

#[test]
fn a_move_whose_answer_was_lost_is_a_move() {
    let (_, secret) = secret(vec![Told::Hangup, labels(r#"{"v2":["AWSCURRENT"]}"#)]);
    secret.make_current("v2", Some("v1"), "cannot move").unwrap();
}

#[test]
fn what_can_be_known_about_writing_is_said_before() {
    for (described, problem, remedy) in [
        (r#"{"DeletedDate":1.0}"#, "scheduled for deletion", "restore-secret --secret-id prod/key"),
        (r#"{"PrimaryRegion":"us-east-1"}"#, "in eu-central-1 it is a replica", "AWS_REGION=us-east-1"),
        (r#"{"OwningService":"rds"}"#, "it is managed by rds", "a secret of your own"),
        (r#"{"VersionIdsToStages":{"v2":["AWSPENDING"]}}"#, "a rotation of it has not ended", "v2"),
    ] {
        check(&secret(vec![answer(200, described)]).1.check_writable().unwrap_err(), problem, remedy);
    }
    for described in
        [r#"{"PrimaryRegion":"eu-central-1"}"#, r#"{"VersionIdsToStages":{"v":["AWSCURRENT","AWSPENDING"]}}"#]
    {
        secret(vec![answer(200, described)]).1.check_writable().unwrap();
    }
}

#[test]
fn every_failure_says_what_to_do() {
    for (told, problem, remedy) in [
        (
            refused("AccessDeniedException"),
            "these credentials may not do this in eu-central-1",
            "secretsmanager:GetSecretValue",
        ),
        (
            refused("UnrecognizedClientException"),
            "AWS does not know these credentials",
            "get-caller-identity",
        ),
        (refused("InvalidSignatureException"), "AWS does not know these credentials", "clock"),
        (refused("ExpiredTokenException"), "have expired", "aws sso login"),
        (refused("DecryptionFailure"), "its KMS key cannot be used", "kms:Decrypt"),
        (refused("ThrottlingException"), "too many", "wait"),
        (
            refused_as(500, "InternalServiceError", "said"),
            "AWS Secrets Manager fails (status 500, InternalServiceError, said)",
            "health.aws",
        ),
        (answer(503, "<html>"), "AWS Secrets Manager fails (status 503", "health.aws"),
        (
            refused("SomethingNew"),
            "AWS refused the request (status 400, SomethingNew, said)",
            "secretsmanager:GetSecretValue",
        ),
        (answer(200, "s3cret"), "the answer is not one of AWS Secrets Manager", "AWS_ENDPOINT_URL"),
        (
            answer(200, r#"{"SecretBinary":"czNjcmV0","VersionId":"v1"}"#),
            "it holds bytes, not text",
            "put-secret-value",
        ),
        (Told::Silence, "did not answer in time", "run the command again"),
        (Told::Hangup, "cannot be reached", "check the network"),
    ] {
        check(&secret(vec![told]).1.read().err().unwrap(), problem, remedy);
    }
}

#[test]
fn an_arn_names_its_region() {
    assert_eq!(
        region_of("arn:aws:secretsmanager:eu-west-1:123456789012:secret:key-AbCdEf"),
        Some("eu-west-1")
    );
    for other in ["prod/key", "arn:aws", "arn:aws:secretsmanager::1"] {
        assert_eq!(region_of(other), None, "{other}");
    }
}
