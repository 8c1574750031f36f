use std::format;
use std::string::ToString;

use super::{Pepper, PepperError};
use crate::key::PepperId;

const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";

#[test]
fn pepper_must_be_long_visible_ascii_and_not_repetitive() {
    let ten = "0123456789";
    for (text, error) in [
        (ten.repeat(4) + "012", None),
        (ten.repeat(4) + "01", Some(PepperError::Length)),
        (ten.repeat(51) + "01", None),
        (ten.repeat(51) + "012", Some(PepperError::Length)),
        ("012345678".repeat(5), Some(PepperError::Repetitive)),
        ("012345678".repeat(5) + "9", None),
        (ten.repeat(4) + " 012", Some(PepperError::Character)),
        (ten.repeat(4) + "\u{7f}012", Some(PepperError::Character)),
        (ten.repeat(4) + "é012", Some(PepperError::Character)),
        (" \t".to_string() + &ten.repeat(5) + "\r\n", None),
    ] {
        assert_eq!(text.parse::<Pepper>().err(), error, "{text}");
    }
}

#[test]
fn white_space_around_a_pepper_is_ignored() {
    let id = PEPPER.parse::<Pepper>().unwrap().id();
    assert_eq!(format!("\n{PEPPER} \n").parse::<Pepper>().unwrap().id(), id);
    assert_ne!(PEPPER.to_lowercase().parse::<Pepper>().unwrap().id(), id);
}

#[test]
fn debug_output_of_a_pepper_is_its_id_and_errors_state_the_remedy() {
    let pepper = PEPPER.parse::<Pepper>().unwrap();
    let id = pepper.id();
    assert_eq!(id.as_str().parse::<PepperId>(), Ok(id));
    assert_eq!(format!("{pepper:?} {id:?}"), format!("Pepper({id}, ..) PepperId({id})"));
    for (error, problem) in [
        (PepperError::Length, "is not 43 to 512 characters long"),
        (PepperError::Character, "contains a character that is not visible ASCII"),
        (PepperError::Repetitive, "has too few different characters to be random"),
    ] {
        assert_eq!(error.to_string(), format!("{problem}; create one with `keygate pepper`"));
    }
}
