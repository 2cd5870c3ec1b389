# Checks the tokens of clients/vectors with ruby-jwt, as python.py does with its libraries.

require 'base64'
require 'json'
require 'rbnacl'
require 'jwt'

def read(name)
  JSON.parse(File.read(File.join(ARGV.fetch(0), name)))
end

# Tokens that ruby-jwt should refuse: it ignores the case of `alg`, and `crit`.
ACCEPTED_BY_MISTAKE = ['alg in lower case', 'critical extension', 'payload that is not encoded'].freeze

KEYS = read('keys.json')['keys'].to_h { |key| [key['name'], key['jwk']] }

# Returns the key that the header names, among the trusted ones.
def trusted_key(header, names)
  jwk = names.map { |name| KEYS.fetch(name) }.find { |key| key['kid'] == header['kid'] }
  raise JWT::DecodeError, 'unknown kid' unless jwk

  RbNaCl::Signatures::Ed25519::VerifyKey.new(Base64.urlsafe_decode64(jwk['x']))
end

# Returns why the token is refused, or nil.
def refusal(token)
  required = token['type'] == 'revocations' ? %w[aud iat] : %w[aud iat exp]
  options = { algorithm: 'EdDSA', aud: token['product'], verify_aud: true, required_claims: required }
  Time.stub_now(token['now']) do
    _, header = JWT.decode(token['token'], nil, true, options) { |parsed| trusted_key(parsed, token['trusted']) }
    header['typ'] == "license-#{token['type']}+jwt" ? nil : "typ #{header['typ']}"
  end
rescue StandardError => e
  "#{e.class}: #{e.message}"
end

# ruby-jwt has no argument for the time.
class Time
  class << self
    alias machine_now now

    def stub_now(seconds)
      @stubbed = seconds
      yield
    ensure
      @stubbed = nil
    end

    def now
      @stubbed ? at(@stubbed) : machine_now
    end
  end
end

counts = { true => 0, false => 0 }
wrong = 0
read('tokens.json')['cases'].select { |token| token['jwt_library'] }.each do |token|
  good = token['error'].nil?
  counts[good] += 1
  reason = refusal(token)
  if reason.nil? && ACCEPTED_BY_MISTAKE.include?(token['name'])
    puts "ruby-jwt: '#{token['name']}': accepted, a known fault of this library"
    next
  end
  next if reason.nil? == good

  wrong += 1
  puts "ruby-jwt: '#{token['name']}': #{reason || 'accepted'}, expected is #{token['error'] || 'accepted'}"
end
puts "ruby-jwt: #{counts[true]} good and #{counts[false]} bad tokens"
exit(1) if wrong.positive? || counts[true] < 5 || counts[false] < 20
