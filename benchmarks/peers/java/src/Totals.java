import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What the projection keeps for one aggregate: how many events, and the sum of their field. */
record Totals(long events, long sum) {
  static final Totals NONE = new Totals(0, 0);

  Totals plus(long value) {
    return new Totals(events + 1, sum + value);
  }

  static Serde<Totals> serde() {
    return Serdes.serdeFrom(
        (topic, totals) ->
            totals == null
                ? null
                : ByteBuffer.allocate(16).putLong(totals.events).putLong(totals.sum).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Totals(buffer.getLong(), buffer.getLong());
        });
  }
}
