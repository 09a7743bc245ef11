import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.zip.CRC32;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.util.Utf8;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Sees every event on the one stream thread: takes time and CPU from the first event after the
 * warm-up to the last that is expected. The checksum covers the warm-up too: which events come first
 * is up to the order in which partitions are fetched.
 */
final class Meter {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private final CRC32 crc = new CRC32();
  private final CountDownLatch done = new CountDownLatch(1);
  private final String field;
  private final long warmUp;
  private final long events;
  private long seen;
  private long checksum;
  private long startedNs;
  private long startedCpuNs;
  private long endedNs;
  private long endedCpuNs;

  /** The first {@code warmUp} of {@code events} are handled before the time is taken. */
  Meter(String field, long warmUp, long events) {
    this.field = field;
    this.warmUp = warmUp;
    this.events = events;
  }

  /** The data field of this event, which is now counted. */
  long take(GenericRecord event) {
    if (seen == warmUp) {
      startedCpuNs = SYSTEM.getProcessCpuTime();
      startedNs = System.nanoTime();
    }
    long value = ((Number) ((GenericRecord) event.get("data")).get(field)).longValue();
    if (seen < events) {
      GenericRecord aggregate = (GenericRecord) event.get("aggregate");
      checksum += crcOf((Utf8) event.get("type")) + crcOf((Utf8) aggregate.get("id")) + value;
    }
    if (++seen == events) {
      endedNs = System.nanoTime();
      endedCpuNs = SYSTEM.getProcessCpuTime();
      done.countDown();
    }
    return value;
  }

  void await() throws InterruptedException {
    done.await();
  }

  String report() throws IOException {
    return String.format(
        Locale.ROOT,
        "{\"events\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"checksum\": %d, \"rss_bytes\": %d,"
            + " \"versions\": {\"kafka-streams\": \"%s\", \"java\": \"%s\"}}",
        events - warmUp,
        (endedNs - startedNs) / 1e9,
        (endedCpuNs - startedCpuNs) / 1e9,
        checksum & Long.MAX_VALUE,
        peakMemory(),
        AppInfoParser.getVersion(),
        Runtime.version());
  }

  private long crcOf(Utf8 text) {
    crc.reset();
    crc.update(text.getBytes(), 0, text.getByteLength());
    return crc.getValue();
  }

  private static long peakMemory() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
      }
    }
    throw new IOException("the system does not say how much memory was held");
  }
}
