//! A node's name in subjects and keys.

/// `node` as one token of a subject, and as a key of a bucket: in lower case, since names are compared
/// without regard to case, and every byte other than a letter, a digit, `-` and `_` as `=` and two
/// hexadecimal digits. So `Node1.example.org` is `node1=2eexample=2eorg`. Different names never become
/// the same token; that of an empty name is `=`.
#[must_use]
pub fn token(node: &str) -> String {
    if node.is_empty() {
        return "=".to_owned();
    }
    let mut token = String::with_capacity(node.len());
    for byte in node.bytes().map(|byte| byte.to_ascii_lowercase()) {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02x}"));
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_tokens() {
        for (node, expected) in [
            ("n1", "n1"),
            ("Node-1_A", "node-1_a"),
            ("n1.example.org", "n1=2eexample=2eorg"),
            ("a b*>", "a=20b=2a=3e"),
            ("=", "=3d"),
            ("é", "=c3=a9"),
            ("", "="),
        ] {
            assert_eq!(token(node), expected);
        }
    }

    proptest! {
        #[test]
        fn one_token_for_each_name(one: String, other: String) {
            let same = one.eq_ignore_ascii_case(&other);
            prop_assert_eq!(token(&one) == token(&other), same);
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
            prop_assert!(!token(&one).is_empty() && token(&one).bytes().all(is_fine));
        }
    }
}
