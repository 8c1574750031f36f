use std::format;
use std::string::ToString;

use super::{Pepper, PepperError};
use crate::key::PepperId;

const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";

#[test]
fn a_pepper_is_long_visible_and_not_a_repetition() {
    let ten = "0123456789";
    for (text, fault) in [
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
        assert_eq!(text.parse::<Pepper>().err(), fault, "{text}");
    }
}

#[test]
fn white_space_around_a_pepper_is_no_part_of_it() {
    let id = PEPPER.parse::<Pepper>().unwrap().id();
    assert_eq!(format!("\n{PEPPER} \n").parse::<Pepper>().unwrap().id(), id);
    assert_ne!(PEPPER.to_lowercase().parse::<Pepper>().unwrap().id(), id);
}

#[test]
fn a_pepper_is_shown_by_its_id_and_a_fault_says_what_to_do() {
    let pepper = PEPPER.parse::<Pepper>().unwrap();
    let id = pepper.id();
    assert_eq!(id.as_str().parse::<PepperId>(), Ok(id));
    assert_eq!(format!("{pepper:?} {id:?}"), format!("Pepper({id}, ..) PepperId({id})"));
    for (fault, problem) in [
        (PepperError::Length, "has not 43 to 512 characters"),
        (PepperError::Character, "holds a character that is not visible ASCII"),
        (PepperError::Repetitive, "repeats too few characters to be random"),
    ] {
        assert_eq!(fault.to_string(), format!("{problem}; make one with `keygate pepper`"));
    }
}
