import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/**
 * Puts the chains of attestation documents to the Java runtime: one job per line in, one verdict
 * per line out.
 *
 * <p>A job is five fields with tabs between: id, time in milliseconds, root (path of the DER), the
 * document, which is not looked at, and its certificates, root first (DER in hex, commas between;
 * {@code -} if nobody could find them). The runtime wants the leaf first, and not the
 * root, which is the first where there is more than one.
 */
public final class Judge {
    private Judge() {}

    public static void main(String[] arguments) throws IOException {
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(answer(line.split("\t")));
            System.out.flush();
        }
    }

    private static String answer(String[] job) throws IOException {
        if (job[4].equals("-")) {
            return json(job[0], "unsupported", "no certificates were found in it");
        }
        byte[] root = Files.readAllBytes(Path.of(job[2]));
        List<byte[]> chain = new ArrayList<>();
        for (String certificate : job[4].split(",", -1)) {
            chain.add(HexFormat.of().parseHex(certificate));
        }
        try {
            validate(root, chain, new Date(Long.parseLong(job[1])));
            return json(job[0], "accept", "");
        } catch (GeneralSecurityException refused) {
            return json(job[0], "refuse", String.valueOf(refused.getMessage()));
        } catch (RuntimeException crashed) {
            return json(job[0], "crash", crashed.toString());
        }
    }

    private static void validate(byte[] root, List<byte[]> chain, Date time)
            throws GeneralSecurityException {
        var factory = CertificateFactory.getInstance("X.509");
        List<X509Certificate> leafFirst = new ArrayList<>();
        for (byte[] certificate : chain.subList(Math.min(1, chain.size() - 1), chain.size())) {
            leafFirst.add(0, read(factory, certificate));
        }
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(read(factory, root), null)));
        parameters.setDate(time);
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX")
                .validate(factory.generateCertPath(leafFirst), parameters);
    }

    private static X509Certificate read(CertificateFactory factory, byte[] der)
            throws GeneralSecurityException {
        return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(der));
    }

    private static String json(String id, String verdict, String reason) {
        return "{\"id\": " + quoted(id) + ", \"verdict\": " + quoted(verdict)
                + ", \"reason\": " + quoted(reason) + "}";
    }

    private static String quoted(String text) {
        var quoted = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            if (character < ' ' || character > '~' || character == '"' || character == '\\') {
                quoted.append(String.format("\\u%04x", (int) character));
            } else {
                quoted.append(character);
            }
        }
        return quoted.append('"').toString();
    }
}
