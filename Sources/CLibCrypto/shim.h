// The part of OpenSSL's libcrypto that tierd uses: SHA-256 through EVP.
#pragma once
#include <openssl/evp.h>
