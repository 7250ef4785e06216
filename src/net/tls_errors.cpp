#include "net/tls_errors.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace confab::net {

namespace {

/// Of an alert of the other side. Its number follows from the reason's.
bool about_our_certificate(int alert) {
  switch (alert) {
  case SSL_AD_BAD_CERTIFICATE:
  case SSL_AD_UNSUPPORTED_CERTIFICATE:
  case SSL_AD_CERTIFICATE_REVOKED:
  case SSL_AD_CERTIFICATE_EXPIRED:
  case SSL_AD_CERTIFICATE_UNKNOWN:
  case SSL_AD_UNKNOWN_CA:
  case SSL_AD_CERTIFICATE_REQUIRED:
    return true;
  default:
    return false;
  }
}

std::string text_of(unsigned long error, const ssl_st* connection) {
  auto reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    if (auto verified = SSL_get_verify_result(connection);
        reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
      return X509_verify_cert_error_string(verified);
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
      return "the other side speaks no TLS, so it shows no certificate";
    if (auto alert = reason - SSL_AD_REASON_OFFSET; about_our_certificate(alert))
      return std::string{"the other side refused this certificate: "} +
             SSL_alert_desc_string_long(alert);
  }
  const char* text = ERR_reason_error_string(error);
  return text == nullptr ? "TLS error " + std::to_string(error) : text;
}

} // namespace

void forget_tls_errors() noexcept {
  ERR_clear_error();
}

std::string take_tls_error(const ssl_st* connection) {
  auto error = ERR_peek_last_error();
  // Those of the system tell of a socket, not of TLS.
  bool told = error != 0 && !ERR_SYSTEM_ERROR(error) && connection != nullptr;
  auto text = told ? text_of(error, connection) : std::string{};
  ERR_clear_error();
  return text;
}

} // namespace confab::net
