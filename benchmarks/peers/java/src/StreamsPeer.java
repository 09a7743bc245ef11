import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/**
 * One Kafka Streams application on one thread: reads the events of a topic (mode {@code consume}),
 * or counts and sums them per aggregate in a store with changelog and cache ({@code projection}).
 * The argument is a JSON file; one JSON line on standard output says how it went.
 */
final class StreamsPeer {
  private StreamsPeer() {}

  public static void main(String[] arguments) throws Exception {
    JsonNode config = new ObjectMapper().readTree(Path.of(arguments[0]).toFile());
    Meter meter =
        new Meter(
            config.get("field").asText(),
            config.get("warm_up").asLong(),
            config.get("events").asLong());
    KafkaStreams streams = new KafkaStreams(topology(config, meter), settings(config));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
    streams.start();
    meter.await();
    System.out.println(meter.report());
    streams.close();
  }

  private static Topology topology(JsonNode config, Meter meter) {
    Serde<GenericRecord> events =
        Serdes.serdeFrom(
            (topic, event) -> {
              throw new UnsupportedOperationException("events are only read");
            },
            new FramedAvroReader(schemas(config.get("schemas"))));
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, GenericRecord> stream =
        builder.stream(config.get("topic").asText(), Consumed.with(Serdes.String(), events));
    if (config.get("mode").asText().equals("consume")) {
      stream.foreach((key, event) -> meter.take(event));
    } else {
      stream
          .groupByKey(Grouped.with(Serdes.String(), events))
          .aggregate(
              () -> Totals.NONE,
              (key, event, totals) -> totals.plus(meter.take(event)),
              Materialized.<String, Totals>as(Stores.inMemoryKeyValueStore("totals"))
                  .withKeySerde(Serdes.String())
                  .withValueSerde(Totals.serde())
                  .withLoggingEnabled(Map.of())
                  .withCachingEnabled());
    }
    return builder.build();
  }

  private static Map<Integer, Schema> schemas(JsonNode texts) {
    Map<Integer, Schema> schemas = new HashMap<>();
    texts
        .properties()
        .forEach(
            entry ->
                schemas.put(
                    Integer.valueOf(entry.getKey()),
                    new Schema.Parser().parse(entry.getValue().asText())));
    return schemas;
  }

  private static Properties settings(JsonNode config) {
    Properties properties = new Properties();
    config.get("settings").properties().forEach(it -> properties.put(it.getKey(), it.getValue().asText()));
    return properties;
  }
}
