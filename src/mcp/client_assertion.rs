//! A client's word that is signed by its private key, in place of a secret (RFC 7523). But for the
//! file of the key and the randomness of signatures, pure.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

/// How long an assertion is good for: it is used at once, by clocks that may differ.
const LIFETIME_S: u64 = 120;

/// A private key that assertions are signed with.
pub struct SigningKey(Kind);

enum Kind {
    Es256(EcdsaKeyPair),
    Rs256(rsa::KeyPair),
}

impl SigningKey {
    /// A key of the curve P-256, or an RSA key of at least 2048 bits.
    ///
    /// # Errors
    /// In words, for any other.
    pub fn new(key: &PrivatePkcs8KeyDer<'_>) -> Result<Self, String> {
        let der = key.secret_pkcs8_der();
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            .map(Kind::Es256)
            .or_else(|_| rsa::KeyPair::from_pkcs8(der).map(Kind::Rs256))
            .map(Self)
            .map_err(|_| "it holds neither a P-256 nor an RSA key".to_owned())
    }

    /// The key of a file (PEM, PKCS #8).
    ///
    /// # Errors
    /// In words, when it cannot be read, or by [`Self::new`].
    pub fn of(file: &Path) -> Result<Self, String> {
        PrivatePkcs8KeyDer::from_pem_file(file)
            .map_err(|e| e.to_string())
            .and_then(|key| Self::new(&key))
            .map_err(|why| {
                let shown = file.display();
                format!("the private key {shown} cannot be used: {why} (PEM with -----BEGIN PRIVATE KEY-----)")
            })
    }

    fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Es256(_) => "ES256",
            Kind::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        let signed = match &self.0 {
            Kind::Es256(key) => key
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
            Kind::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
        };
        signed.map_err(|_| "the assertion cannot be signed".to_owned())
    }

    /// A JSON Web Token by which the client `client_id` shows itself to `audience`, at `now_s`
    /// (seconds since 1970). `id` must never have been used before.
    ///
    /// # Errors
    /// In words, when it cannot be signed.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now_s: u64,
        id: &str,
    ) -> Result<String, String> {
        let head = json!({"alg": self.algorithm(), "typ": "JWT"});
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": id,
            "iat": now_s, "exp": now_s.saturating_add(LIFETIME_S),
        });
        let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    use super::*;

    #[test]
    fn an_assertion_is_signed_and_says_who_asks_whom_until_when() {
        let random = SystemRandom::new();
        let curve =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256);
        let mut keys = vec![("ES256", curve.as_ref().to_vec())];
        keys.extend(rsa.ok().map(|key| ("RS256", key.serialize_der())));
        for (algorithm, der) in keys {
            let key = SigningKey::new(&der.into()).unwrap();
            let token = key.assertion("ci", "https://a.test/", 1000, "one").unwrap();
            let [head, claims, signature] = &token.split('.').collect::<Vec<_>>()[..] else {
                panic!("{token}");
            };
            let read = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
            let json = |part| serde_json::from_slice::<Value>(&read(part)).unwrap();
            assert_eq!(json(head), json!({"alg": algorithm, "typ": "JWT"}));
            assert_eq!(
                json(claims),
                json!({"iss": "ci", "sub": "ci", "aud": "https://a.test/", "jti": "one",
                       "iat": 1000, "exp": 1120})
            );
            let (public, method): (Vec<u8>, &'static dyn VerificationAlgorithm) = match &key.0 {
                Kind::Es256(key) => (key.public_key().as_ref().to_vec(), &ECDSA_P256_SHA256_FIXED),
                Kind::Rs256(key) => (
                    key.public_key().as_ref().to_vec(),
                    &RSA_PKCS1_2048_8192_SHA256,
                ),
            };
            let signed = format!("{head}.{claims}");
            UnparsedPublicKey::new(method, public)
                .verify(signed.as_bytes(), &read(signature))
                .unwrap();
        }
    }

    #[test]
    fn other_keys_are_refused() {
        assert!(SigningKey::new(&vec![1, 2, 3].into()).is_err());
    }
}
