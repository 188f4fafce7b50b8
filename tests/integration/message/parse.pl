# Parses the mails in the files that are named, and prints what they say as one JSON document.
use strict;
use warnings;
use Email::MIME;
use JSON::PP;

sub addresses {
    my ($mail, $name) = @_;
    return [ map { [ $_->phrase // '', $_->address ] } $mail->header_as_obj($name)->addresses ];
}

my @mails;
for my $path (@ARGV) {
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    my $mail = Email::MIME->new(<$file>);
    push @mails, {
        subject => scalar $mail->header_str('Subject'),
        leave => scalar $mail->header_str('List-Unsubscribe'),
        from => addresses($mail, 'From'),
        to => addresses($mail, 'To'),
        bodies => [ map { [ (split /;/, $_->content_type)[0], $_->body_str ] } $mail->parts ],
    };
}
print JSON::PP->new->utf8->encode(\@mails);
