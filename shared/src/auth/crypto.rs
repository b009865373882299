//! The cryptography of tokens: the JWT library's interface over `ring`, which a function contains for TLS anyway.

use std::sync::LazyLock;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::error::Unspecified;
use ring::hmac;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// Makes the JWT library verify with `ring` in this process. The library picks a provider of its own at its first use, so a
/// process calls this first.
pub(crate) fn install() {
    static INSTALLED: LazyLock<()> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "a defect of the process: it signed or verified before")]
        PROVIDER.install_default().expect("no other provider is installed");
    });
    LazyLock::force(&INSTALLED);
}

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider { verifier_factory, ..signing_provider() });

/// The provider of everything but verification. A function signs no tokens.
#[cfg(not(feature = "testing"))]
fn signing_provider() -> CryptoProvider {
    CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory,
        key_utils: jsonwebtoken::crypto::KeyUtils::new_unimplemented(),
    }
}

/// The provider of everything but verification: tests and `cargo dev` sign tokens with keys that `ring` does not read.
#[cfg(feature = "testing")]
fn signing_provider() -> CryptoProvider {
    jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.clone()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library gives the signature")]
fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

/// Verifies signatures with one key.
struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let verified = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature)
            }
            (Algorithm::RS256, RsaModulusExponent { n, e }) => {
                let key = PublicKeyComponents { n: without_leading_zeros(n), e: without_leading_zeros(e) };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Algorithm::EdDSA, SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            _ => Err(Unspecified),
        };
        verified.map_err(|_| SignatureError::new())
    }
}

/// A number as `ring` reads it. Some libraries write a zero byte before a modulus (RFC 7518 §6.3.1.1).
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
