//! The core's reader of JSON against `serde_json`.
#![no_main]

use keygate_core::json::Value;
use keygate_fuzz::text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = text(data);
    match (Value::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
        (Ok(ours), Ok(theirs)) => assert!(same(&ours, &theirs), "{ours:?} is not {theirs}"),
        (Err(_), Err(_)) => {}
        // This reader is stricter in these two things, on purpose.
        (Err(fault), Ok(_)) => {
            let fault = fault.to_string();
            assert!(fault.contains("twice") || fault.contains("deep"), "{fault}");
        }
        // There is no room for the number, which this reader leaves as it is written.
        (Ok(_), Err(error)) => assert!(error.to_string().contains("number out of range"), "{error}"),
    }
});

fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::Number(a), serde_json::Value::Number(b)) => {
            serde_json::from_str::<serde_json::Number>(a).is_ok_and(|a| a == *b)
                && ours.as_u64() == b.as_u64()
        }
        (Value::String(a), serde_json::Value::String(b)) => a == b,
        (Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(&**name).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}
