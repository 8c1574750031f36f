use std::format;
use std::string::ToString;

use super::{Pepper, PepperError, RotationSalt};
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

#[test]
fn a_text_is_hidden_by_pepper_and_salt_and_found_again() {
    const TEXT: &str = "acme_live_4fTz0Qw9Lr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc00000000";
    let pepper = PEPPER.parse::<Pepper>().unwrap();
    let hidden = |pepper: &Pepper, salt: u8| {
        let mut text = TEXT.as_bytes().to_vec();
        pepper.hide(&RotationSalt([salt; 32]), &mut text);
        text
    };
    let mut found = hidden(&pepper, 7);
    for other in [hidden(&PEPPER.to_lowercase().parse::<Pepper>().unwrap(), 7), hidden(&pepper, 8)] {
        let same = found.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(same < 10, "{same} of {} bytes are the same", TEXT.len());
    }
    pepper.hide(&RotationSalt([7; 32]), &mut found);
    assert_eq!(found, TEXT.as_bytes());
}
