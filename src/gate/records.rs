//! Step 8: finding the record of an id, with `keygate_core::auth::lookup`.

use std::rc::Rc;

use keygate_core::auth::lookup::{LookupError, LookupStep, StoreReply, after_store, before_store};
use keygate_core::key::KeyId;
use keygate_core::record::Record;
use worker::kv::KvError;

use crate::config::Isolate;
use crate::runtime;

/// Finds the record; reads KV only if the isolate's cache has no fresh one.
pub(crate) async fn find(isolate: &Isolate, id: &KeyId) -> Result<Rc<Record>, LookupError> {
    let step = before_store(&mut isolate.cache.borrow_mut(), id, runtime::now().0);
    if let LookupStep::Found(record) = step {
        return Ok(record);
    }
    let reply = read(isolate, id).await;
    let now_ms = runtime::now().0;
    after_store(&mut isolate.cache.borrow_mut(), &isolate.gate.secrets, id, now_ms, reply, Rc::new)
}

async fn read(isolate: &Isolate, id: &KeyId) -> StoreReply {
    let policy = &isolate.gate.policy;
    let entry = isolate.keys.get(&id.kv_name()).cache_ttl(policy.kv_cache_ttl_secs().into()).text();
    match runtime::within(policy.kv_timeout_ms(), entry).await {
        Some(Ok(Some(value))) => StoreReply::Found(value),
        Some(Ok(None)) => StoreReply::Absent,
        Some(Err(KvError::JavaScript(error))) => StoreReply::Failed(runtime::message(&error)),
        Some(Err(error)) => StoreReply::Failed(error.to_string()),
        None => StoreReply::TimedOut,
    }
}
