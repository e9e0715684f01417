//! The authorities that TLS trusts: the system's, read when a server first shows a certificate.
//!
//! Some 150 files are read for them, which takes longer than a pass that needs none; and a host that speaks to nobody over
//! TLS need not have any.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// A configuration that trusts the system's roots and `more`. The process has a TLS provider already.
pub(super) fn trusting(more: Vec<CertificateDer<'static>>) -> ClientConfig {
    let builder = ClientConfig::builder();
    let verifier = Lazy { provider: Arc::clone(builder.crypto_provider()), more, verifier: OnceLock::new() };
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = ["h2", "http/1.1"].map(Into::into).into();
    config
}

/// The platform's verifier, made at its first use. It alone decides; where it cannot be made, no certificate is good.
#[derive(Debug)]
struct Lazy {
    provider: Arc<CryptoProvider>,
    more: Vec<CertificateDer<'static>>,
    verifier: OnceLock<Verifier>,
}

impl Lazy {
    fn verifier(&self) -> Result<&Verifier, Error> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(verifier);
        }
        // Not kept when it fails: the roots may be installed while the agent runs.
        let verifier = Verifier::new_with_extra_roots(self.more.iter().cloned(), Arc::clone(&self.provider))?;
        Ok(self.verifier.get_or_init(|| verifier))
    }
}

impl ServerCertVerifier for Lazy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
