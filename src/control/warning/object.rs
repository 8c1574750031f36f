//! The object: one webhook a day, sent again until it is taken, and not after that.

use std::cell::Cell;
use std::time::Duration;

use keygate_core::telemetry::event::Event;
use keygate_core::time::{UnixMillis, UnixSeconds};
use keygate_core::warning::{Answer, Delivery, Message, Settings, Step, Variables};
use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, console_log, durable_object};

use super::{keys, post, variable};
use crate::{not_found, runtime};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS delivery (only INTEGER PRIMARY KEY CHECK (only = 0), json TEXT NOT NULL);
";
/// When an alarm comes while an attempt is under way, the next one is after so long.
const BUSY: Duration = Duration::from_mins(1);

/// Sends the warnings of a day.
#[durable_object(alarm)]
pub struct WarningsObject {
    state: State,
    env: Env,
    /// Other calls come while one waits for KV or the receiver.
    is_busy: Cell<bool>,
}

#[derive(Deserialize)]
struct Stored {
    json: String,
}

impl DurableObject for WarningsObject {
    fn new(state: State, env: Env) -> Self {
        runtime::log_panics();
        Self { state, env, is_busy: Cell::default() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        runtime::answered(self.answer(request).await)
    }

    async fn alarm(&self) -> Result<Response> {
        runtime::answered(self.try_again().await)
    }
}

impl WarningsObject {
    async fn answer(&self, request: Request) -> Result<Response> {
        if request.path() != "/run" {
            return not_found();
        }
        if !self.is_busy.get() {
            self.attempt(Delivery::today(self.read()?, runtime::now().seconds())).await?;
        }
        Response::empty()
    }

    async fn try_again(&self) -> Result<Response> {
        if self.is_busy.get() {
            self.state.storage().set_alarm(BUSY).await?;
        } else if let Some(delivery) = Delivery::again(self.read()?, runtime::now().seconds()) {
            self.attempt(delivery).await?;
        }
        Response::empty()
    }

    /// Does what is left to do, if there is anything.
    async fn attempt(&self, delivery: Delivery) -> Result<()> {
        let settings = match self.settings() {
            Ok(Some(settings)) if delivery.step() != Step::Nothing => settings,
            Ok(_) => return Ok(()),
            Err(error) => {
                log_failure(&error, None);
                return Ok(());
            }
        };
        self.is_busy.set(true);
        let done = self.try_once(&settings, delivery).await;
        self.is_busy.set(false);
        done
    }

    async fn try_once(&self, settings: &Settings, mut delivery: Delivery) -> Result<()> {
        let now = runtime::now().seconds();
        let next = delivery.begin(now);
        self.store(&delivery)?;
        // Before the attempt: it is made again if the instance ends in it.
        if let Some(next) = next {
            let wait = Duration::from_secs(next.seconds().saturating_sub(now.seconds()));
            self.state.storage().set_alarm(wait).await?;
        }
        if delivery.step() == Step::Compose {
            match self.compose(settings, now).await {
                Ok(message) => delivery.compose(message),
                Err(error) => {
                    log_failure(&failed(&delivery, &error.to_string(), next), None);
                    return Ok(());
                }
            }
            self.store(&delivery)?;
        }
        match delivery.step() {
            Step::Send(message) => {
                let (answer, what) = post::post(settings, message).await;
                delivery.answered(answer);
                self.store(&delivery)?;
                let next = next.filter(|_| delivery.step() != Step::Nothing);
                match answer {
                    Answer::Status(200..=299) => log(&attempt(&delivery, &what)),
                    Answer::Status(status) => log_failure(&failed(&delivery, &what, next), Some(status)),
                    Answer::Failed => log_failure(&failed(&delivery, &what, next), None),
                }
            }
            _ => log(&attempt(&delivery, "there is nothing to tell")),
        }
        if delivery.step() == Step::Nothing {
            self.state.storage().delete_alarm().await?;
        }
        Ok(())
    }

    async fn compose(&self, settings: &Settings, now: UnixSeconds) -> Result<Option<Message>> {
        let Some(warning) = keys::find(&self.env, settings, now).await? else {
            return Ok(None);
        };
        let id = format!("msg_{}", runtime::random_id());
        Ok(Some(Message { id, body: serde_json::to_string(&warning)? }))
    }

    fn settings(&self) -> core::result::Result<Option<Settings>, String> {
        let text = |name| variable(&self.env, name);
        let [url, secret, expiry, unused, gate] =
            ["WEBHOOK_URL", "WEBHOOK_SECRET", "EXPIRY_WARNING_DAYS", "UNUSED_WARNING_DAYS", "GATE_NAME"]
                .map(text);
        let values = Variables {
            webhook_url: url.as_deref(),
            webhook_secret: secret.as_deref(),
            expiry_warning_days: expiry.as_deref(),
            unused_warning_days: unused.as_deref(),
            gate_name: gate.as_deref(),
            allow_http: text("ALLOW_HTTP").as_deref() == Some("true"),
        };
        Settings::parse(&values).map_err(|error| error.to_string())
    }

    fn sql(&self) -> Result<SqlStorage> {
        let sql = self.state.storage().sql();
        sql.exec(SCHEMA, None)?;
        Ok(sql)
    }

    fn read(&self) -> Result<Option<Delivery>> {
        let rows: Vec<Stored> = self.sql()?.exec("SELECT json FROM delivery", None)?.to_array()?;
        Ok(rows.first().map(|stored| serde_json::from_str(&stored.json)).transpose()?)
    }

    fn store(&self, delivery: &Delivery) -> Result<()> {
        let json = serde_json::to_string(delivery)?;
        self.sql()?.exec("INSERT OR REPLACE INTO delivery VALUES (0, ?)", vec![json.into()])?;
        Ok(())
    }
}

fn attempt(delivery: &Delivery, what: &str) -> String {
    format!("attempt {}: {what}", delivery.attempts())
}

fn failed(delivery: &Delivery, what: &str, next: Option<UnixSeconds>) -> String {
    let next = match next {
        Some(next) => format!("the next one is at {}", runtime::rfc3339(UnixMillis(next.seconds() * 1000))),
        None => "there is no other one on this day".to_owned(),
    };
    format!("{}; {next}", attempt(delivery, what))
}

fn log(what: &str) {
    console_log!("{}", Event::webhook(&runtime::rfc3339(runtime::now()), what).to_line());
}

fn log_failure(why: &str, status: Option<u16>) {
    console_log!("{}", Event::webhook_failed(&runtime::rfc3339(runtime::now()), why, status).to_line());
}
