import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether certificates can be made on this machine. */
export const hasOpenssl = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** A certificate and its key, in files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority in a folder of its own, which has two days to live. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), "flagwire-tls-"));
  readonly own: Certificate;

  constructor() {
    this.own = this.#make("ca", ["-subj", "/CN=test authority"]);
  }

  /** `alternativeNames` as OpenSSL writes them, such as `DNS:a.test,URI:spiffe://a.test/b`. */
  issue(file: string, commonName: string, alternativeNames?: string, days = 2): Certificate {
    const { certFile, keyFile } = this.own;
    const names = alternativeNames === undefined ? [] : ["-addext", `subjectAltName=${alternativeNames}`];
    const signed = ["-CA", certFile, "-CAkey", keyFile, "-addext", "basicConstraints=critical,CA:FALSE"];
    return this.#make(file, ["-subj", `/CN=${commonName}`, ...signed, ...names], days);
  }

  /** For a server on this machine. */
  issueServer(file: string, days?: number): Certificate {
    return this.issue(file, "flags.test", "DNS:localhost,IP:127.0.0.1", days);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #make(file: string, options: readonly string[], days = 2): Certificate {
    const certFile = join(this.folder, `${file}.pem`);
    const keyFile = join(this.folder, `${file}.key`);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile];
    execFileSync("openssl", ["req", "-x509", "-days", String(days), ...key, "-out", certFile, ...options], {
      stdio: "ignore",
    });
    return { certFile, keyFile, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  }
}
