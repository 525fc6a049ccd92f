<?php
// A client with PHP's curl extension: php php.php form|json. Each answer becomes a line of JSON.
declare(strict_types=1);

const SOURCE = ['source' => 'php', 'app_name' => 'samples'];

function call(string $name, string $method, string $path, array $fields = [], ?string $key = null): array
{
    global $argv;
    $query = http_build_query(['api_key' => $key ?? getenv('API_KEY')]);
    $curl = curl_init(getenv('API_URL') . "$path?$query");
    $headers = [];
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 60,
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$headers): int {
            [$header, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower($header)] = trim($value);
            return strlen($line);
        },
    ]);
    if ($fields && $argv[1] === 'form') {
        // true and false become 1 and 0.
        curl_setopt($curl, CURLOPT_POSTFIELDS, http_build_query($fields + SOURCE));
    } elseif ($fields) {
        curl_setopt($curl, CURLOPT_HTTPHEADER, ['Content-Type: application/json']);
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($fields + SOURCE, JSON_THROW_ON_ERROR));
    }
    $answer = curl_exec($curl);
    if ($answer === false) {
        throw new RuntimeException(curl_error($curl));
    }
    $body = json_decode($answer, false, 512, JSON_THROW_ON_ERROR);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    $line = ['call' => $name, 'status' => $status, 'trace_id' => $headers['x-trace-id'] ?? null, 'body' => $body];
    echo json_encode($line, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION), "\n";
    return json_decode($answer, true);
}

$created = call('create', 'POST', '/destinations', [
    'name' => 'Zoë & Söhne + 100 %',
    'enabled' => true,
    'type' => 's3compatible',
    's3_endpoint' => getenv('S3_ENDPOINT'),
    's3_access_key_id' => getenv('S3_ACCESS_KEY_ID'),
    's3_secret_access_key' => getenv('S3_SECRET_ACCESS_KEY'),
    's3_bucket_name' => getenv('S3_BUCKET'),
    's3_path_prefix' => 'exports/%COLLECTION_NAME%/%DATE%',
]);
$here = "/destinations/{$created['destination']['id']}";
call('list', 'GET', '/destinations');
call('rename', 'PUT', $here, ['name' => 'Größe = 日本']);
call('disable', 'PUT', $here, ['enabled' => false]);
call('enable', 'PUT', $here, ['enabled' => true]);
call('wrong-secret', 'PUT', $here, ['s3_secret_access_key' => 'wrong']);
call('unchanged', 'GET', '/destinations');
call('delete', 'DELETE', $here);
call('delete-again', 'DELETE', $here);
call('unknown-key', 'GET', '/destinations', [], 'unknown');
