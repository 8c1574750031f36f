//! The Durable Object that counts what one subject spends of its quotas. The core's account decides; it is stored before an answer leaves.

use std::cell::RefCell;

use keygate_core::quota::{Account, LeaseMessage, ReturnMessage};
use keygate_core::time::UnixMillis;
use serde::Deserialize;
use worker::{
    DurableObject, Env, Error, Method, Request, Response, Result, SqlStorage, State, durable_object,
};

use crate::{not_found, runtime};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS account (only INTEGER PRIMARY KEY CHECK (only = 0), json TEXT NOT NULL);
";

/// Lends the units of one subject.
#[durable_object(fetch)]
pub struct QuotaObject {
    sql: SqlStorage,
    /// As it is stored; read by the first call.
    account: RefCell<Option<Account>>,
}

#[derive(Deserialize)]
struct Stored {
    json: String,
}

impl DurableObject for QuotaObject {
    fn new(state: State, _env: Env) -> Self {
        runtime::log_panics();
        Self { sql: state.storage().sql(), account: RefCell::default() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        runtime::answered(self.answer(request).await)
    }
}

impl QuotaObject {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let json = request.text().await?;
        match (request.method(), request.path().as_str()) {
            (Method::Post, "/leases") => {
                let Ok(LeaseMessage { quota, request }) = serde_json::from_str(&json) else {
                    return Response::error("this is not a request for a lease", 400);
                };
                let lease = self.change(|account, now| account.lend(quota, &request, now))?;
                Response::from_json(&lease)
            }
            (Method::Post, "/returns") => {
                let Ok(ReturnMessage { quota, unused }) = serde_json::from_str(&json) else {
                    return Response::error("these are not unused units", 400);
                };
                self.change(|account, now| account.give_back(quota, &unused, now))?;
                Ok(Response::empty()?.with_status(204))
            }
            _ => not_found(),
        }
    }

    /// Changes the account, and stores it if it is another one then. If that fails, the account is as before.
    fn change<T>(&self, work: impl FnOnce(&mut Account, UnixMillis) -> T) -> Result<T> {
        let mut opened =
            self.account.try_borrow_mut().map_err(|error| Error::RustError(error.to_string()))?;
        let before = match opened.take() {
            Some(account) => account,
            None => self.read()?,
        };
        let mut account = before.clone();
        let answer = work(&mut account, runtime::now());
        if account != before {
            let json = serde_json::to_string(&account)?;
            self.sql.exec("INSERT OR REPLACE INTO account VALUES (0, ?)", vec![json.into()])?;
        }
        *opened = Some(account);
        Ok(answer)
    }

    fn read(&self) -> Result<Account> {
        self.sql.exec(SCHEMA, None)?;
        let rows: Vec<Stored> = self.sql.exec("SELECT json FROM account", None)?.to_array()?;
        match rows.first() {
            Some(stored) => Ok(serde_json::from_str(&stored.json)?),
            None => Ok(Account::default()),
        }
    }
}
