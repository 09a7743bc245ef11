import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;

/** Decodes the whole of a Confluent-framed event; the writer schemas are known beforehand. */
final class FramedAvroReader implements Deserializer<GenericRecord> {
  private static final int HEADER_SIZE = 5;

  private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
  private BinaryDecoder decoder;

  FramedAvroReader(Map<Integer, Schema> schemas) {
    schemas.forEach((id, schema) -> readers.put(id, new GenericDatumReader<>(schema)));
  }

  @Override
  public GenericRecord deserialize(String topic, byte[] framed) {
    int id = ByteBuffer.wrap(framed).getInt(1);
    GenericDatumReader<GenericRecord> reader = readers.get(id);
    if (reader == null) {
      throw new SerializationException("no schema is known by the id " + id);
    }
    decoder =
        DecoderFactory.get()
            .binaryDecoder(framed, HEADER_SIZE, framed.length - HEADER_SIZE, decoder);
    try {
      return reader.read(null, decoder);
    } catch (java.io.IOException error) {
      throw new SerializationException("an event in " + topic + " cannot be read", error);
    }
  }
}
