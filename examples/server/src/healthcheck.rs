//! `license-server healthcheck`, for containers: asks `/health` of the server that has these settings.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::flags::Flags;
use crate::services::note;

/// Time for the whole check.
const DEADLINE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Returns exit code 0 if the server answers, else 1 with a message. It does not ask `/ready`: a server
/// whose database is down keeps validating, and must not be restarted.
pub(crate) async fn run(flags: &Flags) -> ExitCode {
    let address = own_address(&flags.listen);
    let answer = timeout(DEADLINE, ask(&address, flags.network.has_tls())).await;
    let problem = match answer {
        Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200 ") => return ExitCode::SUCCESS,
        Ok(Ok(answer)) => {
            let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
            format!("it answered {:?}", String::from_utf8_lossy(line))
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} seconds", DEADLINE.as_secs()),
    };
    note(&format!("license-server: {address} is not healthy: {problem}"));
    ExitCode::from(1)
}

/// Returns an address on which the server listens. It needs no resolution of names, which an image may
/// lack.
fn own_address(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

async fn ask(address: &str, has_tls: bool) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(address).await?;
    if !has_tls {
        return exchange(stream).await;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    exchange(TlsConnector::from(Arc::new(config)).connect(name, stream).await?).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Vec<u8>> {
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Accepts every certificate: the name of this machine is in none, and the request has no secret.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_address_is_one_that_can_be_connected() {
        for (listen, address) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("licenses.internal:80", "licenses.internal:80"),
        ] {
            assert_eq!(own_address(listen), address);
        }
    }
}
